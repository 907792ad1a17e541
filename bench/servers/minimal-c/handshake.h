/* The server's part of the opening handshake, RFC 6455, Section 4.2. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k;

		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		uint32_t t = rotate(a, 5) + f + e + k + w[i];
		e = d, d = c, c = rotate(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* sha1 is for messages of 56 to 118 bytes, which end in the second block. */
static void sha1(uint8_t sum[20], const uint8_t *p, size_t n)
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t blocks[128] = {0};

	memcpy(blocks, p, n);
	blocks[n] = 0x80;
	blocks[126] = n * 8 >> 8;
	blocks[127] = n * 8;
	sha1_block(h, blocks);
	sha1_block(h, blocks + 64);
	for (int i = 0; i < 20; i++)
		sum[i] = h[i / 4] >> (24 - i % 4 * 8);
}

/* base64 writes the 28 characters of 20 bytes. */
static void base64(char *out, const uint8_t sum[20])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t b[21] = {0};

	memcpy(b, sum, 20);
	for (int i = 0; i < 21; i += 3) {
		uint32_t v = b[i] << 16 | b[i + 1] << 8 | b[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = digits[v >> shift & 63];
	}
	out[-1] = '=';
}

/* find_key returns the value of Sec-WebSocket-Key in n bytes of request, and its
 * size; NULL if it is not there, or is not the 24 characters that it has to be. */
static const uint8_t *find_key(const uint8_t *p, size_t n)
{
	static const char name[] = "\r\nSec-WebSocket-Key:";
	const uint8_t *end = p + n;

	for (; p + sizeof name - 1 < end; p++) {
		if (strncasecmp((const char *)p, name, sizeof name - 1) != 0)
			continue;
		for (p += sizeof name - 1; p < end && (*p == ' ' || *p == '\t'); p++)
			;
		return end - p >= 26 && strchr(" \t\r", p[24]) != NULL ? p : NULL;
	}
	return NULL;
}

static size_t handshake_response(char *out, const uint8_t *key)
{
	uint8_t text[60], sum[20];
	char accept[29] = {0};

	memcpy(text, key, 24);
	memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
	sha1(sum, text, sizeof text);
	base64(accept, sum);
	return sprintf(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
}
