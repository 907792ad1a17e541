"""Python's zlib compresses or decompresses messages: zlib_test.go says how it is called."""

import base64
import json
import sys
import zlib

TAIL = b"\x00\x00\xff\xff"

job = json.load(sys.stdin)
messages = [base64.b64decode(message or "") for message in job["messages"]]
if job["compress"]:
    stream = zlib.compressobj(job["level"], zlib.DEFLATED, -job["bits"])
    answer = [(stream.compress(m) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL) for m in messages]
else:
    stream = zlib.decompressobj(-job["bits"])
    answer = [stream.decompress(m + TAIL) for m in messages]
json.dump([base64.b64encode(m).decode() for m in answer], sys.stdout)
