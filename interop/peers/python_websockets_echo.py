"""Python's websockets as an echo peer: peer/script.go says how it is called."""

import asyncio
import os
import sys
import threading
import urllib.parse

import websockets


async def echo(connection, *_):
    try:
        async for message in connection:
            await connection.send(message)
    except websockets.ConnectionClosed:
        pass  # however it ended


async def serve(host, port, max_size):
    async with websockets.serve(echo, host, int(port), max_size=int(max_size)) as server:
        address = server.sockets[0].getsockname()
        print(f"ws://{address[0]}:{address[1]}/", flush=True)
        await asyncio.Future()


async def drive(url, agent, parallel, max_size):
    agent = urllib.parse.quote(agent)

    async def connect(resource, use):
        async with websockets.connect(f"{url}/{resource}", max_size=int(max_size)) as connection:
            return await use(connection)

    cases = iter(range(1, int(await connect("getCaseCount", lambda connection: connection.recv())) + 1))

    async def runner():
        for case in cases:
            try:
                await connect(f"runCase?case={case}&agent={agent}", echo)
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass  # it is for the server to judge how a case ends

    await asyncio.gather(*(runner() for _ in range(int(parallel))))
    await connect(f"updateReports?agent={agent}", echo)


def leave_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=leave_with_parent, daemon=True).start()
asyncio.run({"serve": serve, "drive": drive}[sys.argv[1]](*sys.argv[2:]))
