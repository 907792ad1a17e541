/* The flags that all servers of the benchmark have. */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNSUPPORTED = 3 }; /* exit status: asked for what it has not */

static struct {
	const char *addr;
	uint64_t max_message;
	bool broadcast;
} options = {.addr = "127.0.0.1:0", .max_message = 32 << 20};

/* pin makes the process run on the processors of list, all if it is empty. */
static void pin(const char *list)
{
	cpu_set_t set;
	char *rest;

	if (*list == 0)
		return;
	CPU_ZERO(&set);
	for (const char *p = list; *p != 0; p = *rest == ',' ? rest + 1 : rest) {
		long from = strtol(p, &rest, 10), to = from;
		if (rest != p && *rest == '-')
			to = strtol(p = rest + 1, &rest, 10);
		if (rest == p || (*rest != ',' && *rest != 0) || from < 0 || to >= CPU_SETSIZE) {
			fprintf(stderr, "minimal-c: -cpus: a list of processors such as 0,2-3 is wanted\n");
			exit(1);
		}
		for (long n = from; n <= to; n++)
			CPU_SET(n, &set);
	}
	if (sched_setaffinity(0, sizeof set, &set) < 0) {
		perror("minimal-c: sched_setaffinity");
		exit(1);
	}
}

static bool is_true(const char *value) { return value == NULL || strcmp(value, "true") == 0; }

/* parse_options takes the flags in the form of Go's package flag, and obeys -cpus. */
static void parse_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *name = argv[i] + strspn(argv[i], "-");
		char *value = strchr(name, '=');
		if (value != NULL)
			*value++ = 0;
		bool deflate = strcmp(name, "deflate") == 0;
		if (strcmp(name, "broadcast") == 0) {
			options.broadcast = is_true(value);
			continue;
		}
		if (strcmp(name, "topics") == 0 && is_true(value)) {
			fprintf(stderr, "minimal-c: -topics: it has no topics\n");
			exit(UNSUPPORTED);
		}
		if (strcmp(name, "work") == 0) {
			fprintf(stderr, "minimal-c: -work: it has no handler that computes\n");
			exit(UNSUPPORTED);
		}
		if (deflate && !is_true(value))
			continue;
		if (deflate || strcmp(name, "cert") == 0 || strcmp(name, "key") == 0) {
			fprintf(stderr, "minimal-c: -%s: it has no TLS and no permessage-deflate\n", name);
			exit(UNSUPPORTED);
		}
		if (value == NULL && i + 1 < argc)
			value = argv[++i];
		if (value != NULL && strcmp(name, "addr") == 0)
			options.addr = value;
		else if (value != NULL && strcmp(name, "cpus") == 0)
			pin(value);
		else if (value != NULL && strcmp(name, "max-message") == 0)
			options.max_message = strtoull(value, NULL, 10);
		else {
			fprintf(stderr, "minimal-c: unknown flag, or one without its value: -%s\n", name);
			exit(2);
		}
	}
}
