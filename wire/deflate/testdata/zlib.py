#!/usr/bin/env python3
"""Writes zlib.txt: messages that zlib compressed, for the tests of the inflater.

Each line "text" has a message as JSON. Each line "stream" has the window bits
that are negotiated, whether there is takeover, a description, and the
compressed messages in the order of the texts, in hexadecimal.
"""
import json
import random
import zlib

random.seed(1)


def tick(i):
    return ('{"type":"ticker","sequence":%d,"product_id":"%s","price":"%d.%02d","volume_24h":"%d.%06d",'
            '"best_bid":"%d.%02d","side":"%s","time":"2026-11-29T23:%02d:%02d.%06dZ"}' % (
                1000000 + 7 * i, random.choice(["BTC-USD", "ETH-USD"]), random.randrange(67000, 67400), random.randrange(100),
                random.randrange(9000, 9100), random.randrange(10**6), random.randrange(67000, 67400), random.randrange(100),
                random.choice(["buy", "sell"]), i, 3 * i, random.randrange(10**6)))


texts = [tick(i) for i in range(4)]
texts += ["", "x" * 700, "".join(tick(i) for i in range(9)), tick(9), "".join(chr(random.randrange(32, 127)) for _ in range(300)), tick(10)]
print("# Written by zlib.py with zlib", zlib.ZLIB_RUNTIME_VERSION)
for text in texts:
    print("text", json.dumps(text))


def stream(bits, takeover, level, strategy=zlib.Z_DEFAULT_STRATEGY, flush=zlib.Z_SYNC_FLUSH, mem=8):
    # zlib has no raw window of 8 bits: senders use 9 instead.
    def new():
        return zlib.compressobj(level, zlib.DEFLATED, -max(bits, 9), mem, strategy)
    out, z = [], new()
    for text in texts:
        if not takeover:
            z = new()
        p = z.compress(text.encode()) + z.flush(flush)
        if flush != zlib.Z_FINISH:
            if text == "" and not p.endswith(b"\0\0\xff\xff"):
                p = b"\0\0\0\xff\xff"  # zlib writes nothing for a second flush
            assert p.endswith(b"\0\0\xff\xff")
            p = p[:-4]
        out.append(p.hex())
    print("stream", bits, "takeover" if takeover else "none", "level=%d,strategy=%d,flush=%d,mem=%d" % (level, strategy, flush, mem), *out)


stream(8, True, 1)
stream(8, True, 6)
stream(8, True, 9)
stream(9, True, 6, mem=1)
stream(9, False, 9)
stream(12, True, 6, mem=5)
stream(12, True, 6, zlib.Z_HUFFMAN_ONLY)
stream(15, True, 1)
stream(15, True, 9)
stream(15, True, 6, zlib.Z_RLE)
stream(15, True, 6, zlib.Z_FIXED)
stream(15, True, 6, flush=zlib.Z_FULL_FLUSH)
stream(15, False, 6)
stream(15, False, 0)
stream(15, False, 6, flush=zlib.Z_FINISH)
