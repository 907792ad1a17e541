/*
 * minimal-c echoes over epoll: a limit for servers with one thread. Build it with
 *
 *	cc -O2 -march=native -o minimal-c minimal.c
 *
 * For each wakeup of a connection it reads once, unmasks the received frames in
 * place, turns them into their echo and writes all of it at once. It answers Ping
 * and Close, and fails the connection for frames that are not masked, have RSV
 * bits or are too long. It does not assemble messages (a fragment is echoed as a
 * fragment), does not check UTF-8, the order of fragments or the payload of a Close,
 * and has no timeouts. The flags are those of the other servers; it has no TLS and
 * no permessage-deflate.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "handshake.h"
#include "options.h"

enum {
	SHARED = 1 << 18,      /* bytes of the read buffer that all connections share */
	REQUEST_MAX = 1 << 13, /* bytes of the opening handshake */
	BACKLOG_MAX = 1 << 26, /* bytes that may wait for one connection */
	EVENTS = 256,

	FIN = 0x80, RSV = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f,
	BINARY = 2, CLOSE = 8, PING = 9, PONG = 10,
	PROTOCOL_ERROR = 1002, MESSAGE_TOO_BIG = 1009,
};

enum state {
	HANDSHAKE, /* the request is incomplete */
	OPEN,
	CLOSING,   /* Close was sent; input is discarded until the client closes */
};

struct conn {
	int fd;
	enum state state;
	uint32_t events; /* that epoll reports */
	struct conn *prev, *next;
	uint8_t *in; /* an incomplete frame; NULL if there is none */
	size_t in_len, in_cap;
	uint8_t *out; /* unsent output: out_off to out_len */
	size_t out_off, out_len, out_cap;
};

static int epoll;
static struct conn connections = {.prev = &connections, .next = &connections};
static char listener, control; /* their addresses tell epoll's events apart */
static uint8_t shared[SHARED];

static void fatal(const char *call)
{
	fprintf(stderr, "minimal-c: %s: %s\n", call, strerror(errno));
	exit(1);
}

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (p == NULL)
		fatal("realloc");
	return p;
}

/* ---- connections ---- */

static void await(struct conn *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (c->events == events)
		return;
	c->events = events;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) < 0)
		fatal("epoll_ctl");
}

static void destroy(struct conn *c)
{
	c->prev->next = c->next;
	c->next->prev = c->prev;
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

/* cut ends a connection of which an event may still be in hand: it is destroyed at
 * the next. */
static void cut(struct conn *c) { shutdown(c->fd, SHUT_RDWR); }

/* keep_output keeps unsent output. Until it is sent, nothing is read. */
static void keep_output(struct conn *c, const uint8_t *p, size_t n)
{
	size_t waiting = c->out_len - c->out_off;

	if (waiting + n > BACKLOG_MAX) {
		cut(c);
		return;
	}
	if (c->out_len + n > c->out_cap) {
		if (waiting > 0)
			memmove(c->out, c->out + c->out_off, waiting);
		c->out_off = 0, c->out_len = waiting;
		if (waiting + n > c->out_cap) {
			c->out_cap = (waiting + n) * 2;
			c->out = grow(c->out, c->out_cap);
		}
	}
	memcpy(c->out + c->out_len, p, n);
	c->out_len += n;
	await(c, EPOLLOUT);
}

static void send_bytes(struct conn *c, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	if (c->out_len == 0) {
		ssize_t m = send(c->fd, p, n, MSG_NOSIGNAL);

		if (m < 0 && errno != EAGAIN && errno != EINTR) {
			cut(c);
			return;
		}
		if (m > 0)
			p += m, n -= m;
	}
	if (n > 0)
		keep_output(c, p, n);
}

/* finish half-closes a connection on which Close was sent, and all before it. */
static void finish(struct conn *c)
{
	if (c->state == CLOSING && c->out_len == 0)
		shutdown(c->fd, SHUT_WR);
}

static void writable(struct conn *c)
{
	ssize_t m = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);

	if (m < 0) {
		if (errno != EAGAIN && errno != EINTR)
			destroy(c);
		return;
	}
	c->out_off += m;
	if (c->out_off < c->out_len)
		return;
	free(c->out);
	c->out = NULL;
	c->out_off = c->out_len = c->out_cap = 0;
	await(c, EPOLLIN);
	finish(c);
}

/* ---- frames, RFC 6455, Section 5.2 ---- */

struct header {
	uint8_t first, size; /* size in bytes, with the masking-key; 0: not complete */
	bool masked;
	uint64_t length;
	uint32_t key;
};

static struct header parse(const uint8_t *p, size_t n)
{
	struct header h = {0};

	if (n < 2)
		return h;
	h.first = p[0];
	h.masked = p[1] & MASKED;
	h.length = p[1] & LENGTH;
	uint8_t size = h.length == 126 ? 8 : h.length == 127 ? 14 : 6;
	if (!h.masked)
		size = 2; /* no need to know more */
	else if (n < size)
		return h;
	if (size > 6) {
		h.length = 0;
		for (int i = 2; i < size - 4; i++)
			h.length = h.length << 8 | p[i];
	}
	if (h.masked)
		memcpy(&h.key, p + size - 4, 4);
	h.size = size;
	return h;
}

/* put_header writes one that is not masked, of size bytes: the length is in the
 * form that the client chose. */
static void put_header(uint8_t *p, size_t size, uint8_t first, uint64_t length)
{
	p[0] = first;
	p[1] = size == 2 ? length : size == 4 ? 126 : 127;
	for (size_t i = size - 1; i >= 2; i--, length >>= 8)
		p[i] = length;
}

/* unmask writes n bytes of src, unmasked, to dst, which may be the same or begin
 * before it: the bytes that a store overwrites have been loaded. */
static void unmask(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
	uint64_t key64 = (uint64_t)key << 32 | key;

	for (; n >= 32; n -= 32, src += 32, dst += 32) {
		uint64_t w[4];

		memcpy(w, src, 32);
		for (int i = 0; i < 4; i++)
			w[i] ^= key64;
		memcpy(dst, w, 32);
	}
	for (; n >= 8; n -= 8, src += 8, dst += 8) {
		uint64_t w;

		memcpy(&w, src, 8);
		w ^= key64;
		memcpy(dst, &w, 8);
	}
	for (size_t i = 0; i < n; i++)
		dst[i] = src[i] ^ ((const uint8_t *)&key64)[i];
}

static void work(uint8_t first, const uint8_t *p, uint64_t n)
{
	if (first == (FIN | BINARY) && n == 33 && p[0] == 'B')
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
}

static void to_everybody(const uint8_t *frame, size_t n)
{
	for (struct conn *c = connections.next; c != &connections; c = c->next)
		if (c->state == OPEN)
			send_bytes(c, frame, n);
}

/* span is where the replies are that have been made of the frames in a buffer;
 * each takes the place of its frame, or of one before. */
struct span {
	uint8_t *begin, *end;
};

/* reply makes the reply to the frame at p, whose header is h. */
static void reply(struct span *out, uint8_t *p, struct header h)
{
	size_t size = h.size - 4;
	uint8_t opcode = h.first & OPCODE;

	if (opcode == PONG)
		return;
	if (out->begin == out->end) /* the first: its payload can stay where it is */
		out->begin = out->end = p + 4;
	uint8_t *frame = out->end, *payload = frame + size;
	put_header(frame, size, opcode == PING ? h.first + (PONG - PING) : h.first, h.length);
	unmask(payload, p + h.size, h.length, h.key);
	work(h.first, payload, h.length);
	if (options.broadcast && opcode < CLOSE)
		to_everybody(frame, size + h.length);
	else
		out->end = payload + h.length;
}

static void fail(struct conn *c, uint16_t code)
{
	send_bytes(c, (uint8_t[]){FIN | CLOSE, 2, code >> 8, code}, 4);
	c->state = CLOSING;
}

/* frames replies to those that are complete in n bytes at p, and returns how many
 * bytes they were. */
static size_t frames(struct conn *c, uint8_t *p, size_t n)
{
	struct span out = {0};
	uint8_t *begin = p, *end = p + n;
	uint16_t failure = 0;

	while (c->state == OPEN && failure == 0) {
		struct header h = parse(p, end - p);

		if (h.size == 0)
			break;
		if (!h.masked || (h.first & RSV) != 0)
			failure = PROTOCOL_ERROR;
		else if (h.length > options.max_message)
			failure = MESSAGE_TOO_BIG;
		else if ((uint64_t)(end - p) < h.size + h.length)
			break;
		else {
			reply(&out, p, h);
			if ((h.first & OPCODE) == CLOSE)
				c->state = CLOSING;
			p += h.size + h.length;
		}
	}
	send_bytes(c, out.begin, out.end - out.begin);
	if (failure != 0)
		fail(c, failure);
	finish(c);
	return p - begin;
}

/* request answers the opening handshake in n bytes at p, and returns how many
 * bytes it was; 0 if it is not complete. */
static size_t request(struct conn *c, const uint8_t *p, size_t n)
{
	char response[256];
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	if (end == NULL && n < REQUEST_MAX)
		return 0;
	const uint8_t *key = end == NULL ? NULL : find_key(p, end + 2 - p);
	if (key == NULL) {
		cut(c);
		c->state = CLOSING;
		return n;
	}
	send_bytes(c, (uint8_t *)response, handshake_response(response, key));
	c->state = OPEN;
	return end + 4 - p;
}

/* consume returns how many of the n bytes at p are done with. */
static size_t consume(struct conn *c, uint8_t *p, size_t n)
{
	size_t done = 0;

	if (c->state == HANDSHAKE)
		done = request(c, p, n);
	if (c->state == OPEN)
		done += frames(c, p + done, n - done);
	return c->state == CLOSING ? n : done;
}

/* keep_input makes the n bytes at p, which begin a frame or the request, the
 * beginning of c->in, with room for the rest. */
static void keep_input(struct conn *c, const uint8_t *p, size_t n)
{
	size_t need = n + 1024;

	if (n == 0) {
		free(c->in);
		c->in = NULL;
		c->in_len = c->in_cap = 0;
		return;
	}
	if (c->state == OPEN) {
		struct header h = parse(p, n);
		if (h.size + h.length > need)
			need = h.size + h.length;
	}
	if (c->in != NULL)
		memmove(c->in, p, n);
	if (need > c->in_cap) {
		bool fresh = c->in == NULL;
		c->in = grow(c->in, need);
		c->in_cap = need;
		if (fresh)
			memcpy(c->in, p, n);
	}
	c->in_len = n;
}

static void readable(struct conn *c)
{
	uint8_t *p = c->in == NULL ? shared : c->in;
	size_t room = c->in == NULL ? SHARED : c->in_cap - c->in_len;
	ssize_t m = read(c->fd, p + c->in_len, room);

	if (m <= 0) {
		if (m == 0 || (errno != EAGAIN && errno != EINTR))
			destroy(c);
		return;
	}
	size_t n = c->in_len + m;
	size_t done = consume(c, p, n);
	keep_input(c, p + done, n - done);
}

static void accept_all(int ln)
{
	for (;;) {
		int fd = accept4(ln, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno == EAGAIN || errno == EMFILE || errno == ENFILE)
				return;
			fatal("accept");
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		struct conn *c = calloc(1, sizeof *c);
		if (c == NULL)
			fatal("calloc");
		c->fd = fd;
		c->events = EPOLLIN;
		c->prev = connections.prev, c->next = &connections;
		c->prev->next = c->next->prev = c;
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
			fatal("epoll_ctl");
	}
}

/* ---- the process ---- */

/* answer_control answers each line that has come with {}, and ends the process
 * with its input. */
static void answer_control(void)
{
	char lines[4096];
	ssize_t n = read(STDIN_FILENO, lines, sizeof lines);

	if (n <= 0)
		exit(0);
	for (ssize_t i = 0; i < n; i++)
		if (lines[i] == '\n')
			puts("{}");
	fflush(stdout);
}

static int listen_on(const char *addr)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char host[64];
	unsigned port;

	if (sscanf(addr, "%63[^:]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &a.sin_addr) != 1 || port > 65535) {
		fprintf(stderr, "minimal-c: -addr: an IPv4 address and port is wanted\n");
		exit(1);
	}
	a.sin_port = htons(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fatal("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, SOMAXCONN) < 0)
		fatal("listen");
	return fd;
}

static void hello(int ln)
{
	struct sockaddr_in a;
	char host[INET_ADDRSTRLEN];

	if (getsockname(ln, (struct sockaddr *)&a, &(socklen_t){sizeof a}) < 0)
		fatal("getsockname");
	inet_ntop(AF_INET, &a.sin_addr, host, sizeof host);
#ifdef __clang__
	const char *compiler = "clang";
#else
	const char *compiler = "gcc";
#endif
	printf("{\"listening\":\"%s:%u\",\"name\":\"minimal-c\",\"module\":\"\",\"version\":\"%s %s\",\"utf8\":false,"
		"\"loop\":\"epoll\",\"notes\":\"C, one thread; one read per wakeup, unmasked in place, one write; "
		"frame by frame; checks next to nothing; a handler that blocks blocks all\"}\n",
		host, ntohs(a.sin_port), compiler, __VERSION__);
	fflush(stdout);
}

static void watch(int fd, void *source)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = source};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0)
		return;
	if (fd == STDIN_FILENO && errno == EPERM)
		exit(0); /* a file, or /dev/null: input that has ended */
	fatal("epoll_ctl");
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	int ln = listen_on(options.addr);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fatal("epoll_create1");
	hello(ln);
	watch(ln, &listener);
	watch(STDIN_FILENO, &control);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			fatal("epoll_wait");
		for (int i = 0; i < n; i++) {
			void *source = events[i].data.ptr;

			if (source == &listener)
				accept_all(ln);
			else if (source == &control)
				answer_control();
			else if (((struct conn *)source)->out_len > 0)
				writable(source);
			else
				readable(source);
		}
	}
}
