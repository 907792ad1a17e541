# The checks, one target each. .ci/run installs their tools and runs them in order.
GO          ?= go
FUZZTIME    ?= 10s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.1
MODULES     := $(dir $(wildcard go.mod */go.mod fuzz/*/go.mod interop/*/go.mod))
# linux/mips is big-endian and has 32 bits; linux/arm is ARMv5, without atomic
# instructions.
CROSS       := linux/arm linux/mips linux/riscv64 windows/amd64 darwin/arm64 freebsd/amd64 js/wasm wasip1/wasm
# With the kqueue loop.
KQUEUE      := darwin/arm64 freebsd/amd64 netbsd/amd64 openbsd/amd64
GATE        ?= 1.05
ROUNDS      ?= 9
WIRETEST    := /tmp/fibersock-wire.test

# $(call each,COMMAND) runs COMMAND in every module of the repository.
each = @for m in $(MODULES); do echo "$$m: $(1)"; (cd $$m && $(1)) || exit 1; done

.PHONY: all test constrained race crowds judge fuzz differential bench bench-full bench-gate bench-deflate bench-memory benchtest microbench cover portable lockcheck chaos notls lint fmt vet tidy staticcheck i386 bigendian processors cross size size-packages release newcomer peers interop page-bench conformance soak mutants

all: lint test

test: ## the README's command
	$(GO) test ./...

# wire and repotest have no goroutines; the detector's check of pointers is enough for wire.
race:
	$(GO) test -race $$($(GO) list ./... | grep -v -e '/wire$$' -e '/repotest$$')
	$(GO) test -gcflags=-d=checkptr ./wire

# Hostile peers, one profile after another, and tests that wait for long timeouts. go test runs all profiles at the same time.
crowds:
	$(GO) test -race -run 'Crowd|HostileClients|IsCutAtEveryByte|LargeSocketBuffer' ./server ./client -args -crowds

# The tests of the judge with the suite's numbers of messages; go test sends fewer.
judge:
	$(GO) test ./wstest/conform -args -full

# FUZZ='^FuzzMask$$' selects targets; FUZZFLAGS='-parallel 1' are flags of go test.
fuzz:
	GO=$(GO) .ci/fuzz $(FUZZTIME) $(FUZZFLAGS)

# Compares fibersock with gorilla/websocket, gobwas/ws and net/http; fuzz/differential/README.md lists the differences.
differential:
	cd fuzz/differential && $(GO) test ./...
	cd fuzz/differential && GO=$(GO) ../../.ci/fuzz $(FUZZTIME) $(FUZZFLAGS)

# Compares the performance with other implementations: about 6 minutes on two processors. Writes docs/performance, and the comparison in README.md.
bench:
	cd bench && $(GO) run . -quick -out ../docs/performance
	$(GO) generate ./internal/repotest

# Every scenario, longer and with more rounds.
bench-full:
	cd bench && $(GO) run . -full -out ../docs/performance $(BENCHFLAGS)
	$(GO) generate ./internal/repotest

# This tree beside the commit REF in the same rounds; fails if a scenario's ratio
# exceeds GATE.
bench-gate:
	cd bench && $(GO) run . -before $(REF) -gate $(GATE) -peers fibersock,fibersock-portable -rounds $(ROUNDS) $(BENCHFLAGS)

# permessage-deflate beside other libraries and, with zlib's header, zlib.
bench-deflate:
	cd bench && $(GO) run -tags zlib ./deflate -out ../docs/performance/deflate.md

# Memory of idle connections with permessage-deflate, one server after the other. Adds them to docs/performance/memory.md.
MEMORYCONNS     ?= 10000
MEMORYSCENARIOS ?= idle,idle-deflate-alone,idle-deflate-9,idle-deflate-12,idle-deflate-15
MEMORYPEERS     ?= fibersock fibersock-portable gorilla coder gobwas gws nbio npm-ws
bench-memory: peers
	cd bench && for p in $(MEMORYPEERS); do $(GO) run . -scenarios $(MEMORYSCENARIOS) -peers $$p -conns $(MEMORYCONNS) -rounds 1 -memory ../docs/performance || exit 1; done

# Sizes of minimal clients, and the memory of an idle client connection, beside other libraries. Writes docs/performance/constrained.md.
constrained:
	cd bench && $(GO) run ./constrained -out ../docs/performance/constrained.md

# The benchmark suite's own tests. One server is JavaScript.
benchtest: peers
	cd bench && $(GO) test ./...

# Checks that memory stays flat with 5,000 connections of well-behaved and hostile peers. Writes docs/performance/soak.md.
SOAKTIME ?= 30m
soak:
	$(GO) run ./internal/test/soak -time $(SOAKTIME) -out docs/performance/soak.md

# Lists changes of PKG that its own tests do not notice; they must notice at least 95 %. MUTANTFLAGS='-again FILE' tries the changes
# in an earlier output, '-files end.go' those of a file; '-resume FILE' continues an interrupted run.
PKG ?= ./wire
mutants:
	GO=$(GO) $(GO) run ./internal/test/mutants $(MUTANTFLAGS) $(PKG)

# Benchmarks of functions, for benchstat.
COUNT ?= 6
microbench:
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./wire/... ./handshake ./endpoint ./client ./server/...

# The statements of the library that the tests of all packages run; the last line has the total.
LIBRARY := ./wire/...,./handshake,./endpoint,./permessage,./client/...,./server/...,./internal/netloop
cover:
	$(GO) test -coverpkg=$(LIBRARY) -coverprofile=cover.out ./...
	@$(GO) tool cover -func=cover.out | tail -1

# With the goroutine loop.
portable:
	$(GO) test -tags portable ./server/... ./client/...

# With the order of locks checked: see internal/lockorder. Each lock is slower, and so the largest search is left out.
lockcheck:
	$(GO) test -tags lockcheck ./internal/lockorder
	$(GO) test -tags lockcheck -skip '^TestEveryReachableState$$' ./endpoint ./internal/netloop
	$(GO) test -tags lockcheck -run 'Slow|Backpressure|Broadcast|Queue|Fragment|Close|Shutdown|Ping|Writer|Panic|Send' ./server ./client

# Servers among misbehaving handlers and peers, on both loops.
CHAOSTIME ?= 30s
chaos:
	$(GO) test -race -count=1 -v -timeout 10m -run '^TestChaos$$' ./internal/test/chaos -chaos.time $(CHAOSTIME)
	$(GO) test -race -count=1 -v -timeout 10m -run '^TestChaos$$' -tags portable ./internal/test/chaos -chaos.time $(CHAOSTIME)

# The command has no client for wss then.
notls:
	$(GO) build -tags notls ./client/... ./server/... ./examples/...
	$(GO) vet -tags notls ./client/... ./server/... ./examples/... ./cmd/...
	$(GO) test -tags notls ./handshake ./internal/entropy

lint: fmt vet tidy staticcheck

fmt:
	@out=$$(gofmt -l .); test -z "$$out" || { echo "run gofmt -w on:"; echo "$$out"; exit 1; }

vet:
	$(call each,$(GO) vet ./...)

tidy:
	$(call each,$(GO) mod tidy -diff)

staticcheck:
	$(call each,$(GO) run $(STATICCHECK) ./...)

# With words of 32 bits. The states of sockets do not depend on their size. Some kernels run no 386 programs, and qemu does not run those of Go:
# then the packages that need no socket run for ARM, which needs qemu-arm-static.
WORDS := -skip '^TestEveryReachableState$$'
i386:
	GOARCH=386 $(GO) vet ./...
	@if GOARCH=386 $(GO) test -run '^$$' ./internal/texts 2>&1 | grep 'exec format error'; then \
		echo "This kernel runs no 386 programs: the packages below run for 32-bit ARM, the others are compiled only."; \
		GOARCH=arm $(GO) test $(WORDS) -exec qemu-arm-static ./wire/... ./handshake ./endpoint ./permessage ./client/cookies ./client/sockets ./fuzz/... ./internal/entropy ./internal/texts; \
	else \
		GOARCH=386 $(GO) test $(WORDS) ./...; \
	fi

# Big-endian; needs qemu-s390x-static.
bigendian:
	GOARCH=s390x $(GO) test -exec qemu-s390x-static ./wire/... ./handshake

# The codec on other processors: without assembly, without AVX2 and AVX, and on ARM. Needs qemu.
processors:
	$(GO) test -tags purego ./wire/...
	GOARCH=amd64 $(GO) test -c -o $(WIRETEST) ./wire && for cpu in Nehalem Haswell; do (cd wire && qemu-x86_64-static -cpu $$cpu $(WIRETEST)) || exit 1; done; rm $(WIRETEST)
	GOARCH=arm64 $(GO) test -exec qemu-aarch64-static ./wire/...

# vet compiles the tests too. The loop of the BSDs runs over a model of their kernel.
cross:
	@for t in $(CROSS); do echo "$$t: vet"; GOOS=$${t%/*} GOARCH=$${t#*/} GOARM=5 $(GO) vet ./... || exit 1; done
	@for t in $(KQUEUE); do echo "$$t: vet -tags kqueue"; GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) vet -tags kqueue ./internal/netloop ./server/... ./client/... || exit 1; done
	$(GO) test -run TestEveryReachableState ./internal/netloop -args -netloop.systems

# The stripped client of examples/minimal has at most 4.88 MB, and 2.33 MB without TLS, and README.md has its sizes.
size:
	@.ci/size 4880000
	@.ci/size 2328000 -tags notls

# The bytes of each package in it.
size-packages:
	@.ci/size-packages

# Static binaries of the command, with checksums, and the notes of the release, in dist: for all systems of .ci/release, or SYSTEMS='linux/amd64 windows/arm64'.
release:
	GO=$(GO) .ci/release $(SYSTEMS)

# README.md and docs/tutorial.md, literally, in an empty folder.
newcomer:
	.ci/newcomer

peers:
	cd interop/peers && npm ci --ignore-scripts --no-audit --no-fund

# All 517 cases against all other implementations, in one to two hours. Updates docs/conformance-peers.md.
conformance: peers
	cd interop && $(GO) test ./conformance -full -update -timeout 0

# 10,000 messages in the page of serve are drawn within 1.5 s, and its timers are late by 200 ms at most. Needs Chromium, and a machine without other load.
page-bench:
	cd interop && $(GO) test -count=1 -v -run '^TestPageFlood$$' . -page-bench

# Tests with other implementations, proxies and a browser; interop/README.md lists the required tools.
interop: peers
	cd interop && $(GO) test -count=1 -timeout 20m ./...
