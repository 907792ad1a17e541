"""Python's websockets as a peer of the interop tests.

Commands come on standard input and answers go to standard output, one JSON object a line; script_test.go says which. There is one
connection at a time: the latest dialled or accepted.
"""

import asyncio
import base64
import codecs
import json
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

OPTIONS = { "max_size": None, "ping_interval": None}


class Peer:
    def __init__(self):
        self.accepted = asyncio.Queue()
        self.current = None

    async def listen(self, subprotocols, cert, key, deflate, **_):
        context = None
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
        server = await websockets.serve(
            self.serve,
            "127.0.0.1",
            0,
            ssl=context,
            subprotocols=subprotocols or None,
            **OPTIONS,
            **compression(ServerPerMessageDeflateFactory, deflate),
        )
        port = server.sockets[0].getsockname()[1]
        return {"url": f"{'wss' if cert else 'ws'}://127.0.0.1:{port}/"}

    async def serve(self, connection):
        await self.accepted.put(connection)
        await connection.wait_closed()

    async def accept(self, **_):
        self.current = await self.accepted.get()
        return {"subprotocol": self.current.subprotocol or ""}

    async def dial(self, url, subprotocols, ca, deflate, **_):
        options = {**OPTIONS, **compression(ClientPerMessageDeflateFactory, deflate)}
        if ca:
            options["ssl"] = ssl.create_default_context(cafile=ca)
        self.current = await websockets.connect(url, subprotocols=subprotocols or None, **options)
        return {"subprotocol": self.current.subprotocol or ""}

    async def send(self, kind, data, **_):
        payload = base64.b64decode(data)
        await self.current.send(payload.decode() if kind == "text" else payload)
        return {}

    async def fragments(self, kind, parts, **_):
        await self.current.send(self.parts(text_parts(parts) if kind == "text" else [base64.b64decode(p) for p in parts]))
        return {}

    async def parts(self, parts):
        for i, part in enumerate(parts):
            if i > 0:
                await self.ping(encode(b"between"))
            yield part

    async def ping(self, data, **_):
        await (await self.current.ping(base64.b64decode(data)))
        return {"data": data}  # websockets resolves the ping by the payload of the pong

    async def receive(self, **_):
        try:
            message = await self.current.recv()
        except websockets.ConnectionClosed:
            return self.closed()
        if isinstance(message, str):
            return {"kind": "text", "data": encode(message.encode())}
        return {"kind": "binary", "data": encode(message)}

    async def close(self, code, reason, **_):
        await self.current.close(code, reason)
        return self.closed()

    def closed(self):
        return {"kind": "close", "code": self.current.close_code, "reason": self.current.close_reason}


def compression(factory, deflate):
    """The options for permessage-deflate: deflate lists the arguments of each factory, which a client offers in this order."""
    return {"compression": None, "extensions": deflate and [factory(**arguments) for arguments in deflate]}


def encode(payload):
    return base64.b64encode(payload).decode()


def text_parts(parts):
    """The parts as strings: what is left of a character goes with the next part, because websockets takes no half one."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    return [decoder.decode(base64.b64decode(part)) for part in parts]


async def main():
    peer = Peer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await getattr(peer, command.pop("do"))(**command)
        except Exception as problem:
            answer = {"error": repr(problem)}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
