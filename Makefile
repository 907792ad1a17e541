# The checks, one target each. .ci/run installs the tools they need and runs them in order.
GO          ?= go
FUZZTIME    ?= 10s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.1
MODULES     := $(dir $(wildcard go.mod */go.mod fuzz/*/go.mod interop/*/go.mod))
CROSS       := windows/amd64 darwin/arm64 js/wasm
WIRETEST    := /tmp/fibersock-wire.test

# $(call each,COMMAND) runs COMMAND in every module of the repository.
each = @for m in $(MODULES); do echo "$$m: $(1)"; (cd $$m && $(1)) || exit 1; done

.PHONY: all test race crowds judge fuzz differential bench bench-full benchtest microbench cover portable chaos notls lint fmt vet tidy staticcheck i386 bigendian processors cross size peers interop conformance soak mutants

all: lint test

test: ## the README's command
	$(GO) test ./...

race:
	$(GO) test -race ./...

# Hostile peers of one profile after the other; go test has all profiles in one crowd.
crowds:
	$(GO) test -race -run Crowd ./server ./client -args -crowds

# The judge of `fibersock conform` on trial with as many messages as the suite has; go test has fewer.
judge:
	$(GO) test ./wstest/conform -args -full

# FUZZ='^FuzzMask$$' chooses targets, FUZZFLAGS='-parallel 1' is for go test.
fuzz:
	GO=$(GO) .ci/fuzz $(FUZZTIME) $(FUZZFLAGS)

# What the same bytes are to fibersock, gorilla/websocket, gobwas/ws and net/http: fuzz/differential/README.md lists the differences.
differential:
	cd fuzz/differential && $(GO) test ./...
	cd fuzz/differential && GO=$(GO) ../../.ci/fuzz $(FUZZTIME) $(FUZZFLAGS)

# Against other implementations: about 5 minutes on two processors. The results go to docs/performance.
bench:
	cd bench && $(GO) run . -quick -out ../docs/performance

# Every scenario, longer and in more rounds.
bench-full:
	cd bench && $(GO) run . -full -out ../docs/performance

# The benchmark suite's own tests.
benchtest:
	cd bench && $(GO) test ./...

# 5,000 connections of good and hostile peers, and whether memory stays flat. The table goes to docs/performance.
SOAKTIME ?= 30m
soak:
	$(GO) run ./internal/test/soak -time $(SOAKTIME) -out docs/performance/soak.md

# Changes of PKG that its own tests do not notice; at least 95 % have to be. MUTANTFLAGS='-n 100 -seed 2' tries some of them, '-shard 1/4'
# a quarter, '-again FILE' those that an earlier output has.
PKG ?= ./wire
mutants:
	GO=$(GO) $(GO) run ./internal/test/mutants $(MUTANTFLAGS) $(PKG)

# Function by function, in a form that benchstat reads.
COUNT ?= 6
microbench:
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./wire/... ./handshake ./endpoint ./client ./server/...

cover:
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	@$(GO) tool cover -func=cover.out | tail -1

# With the loop that every system has.
portable:
	$(GO) test -tags portable ./server/... ./client/...

# Servers among handlers and peers that misbehave, on both loops.
CHAOSTIME ?= 30s
chaos:
	$(GO) test -race -count=1 -v -timeout 10m -run '^TestChaos$$' ./internal/test/chaos -chaos.time $(CHAOSTIME)
	$(GO) test -race -count=1 -v -timeout 10m -run '^TestChaos$$' -tags portable ./internal/test/chaos -chaos.time $(CHAOSTIME)

# Everything but the command, which always speaks TLS.
notls:
	$(GO) build -tags notls ./client/... ./server/... ./examples/...

lint: fmt vet tidy staticcheck

fmt:
	@out=$$(gofmt -l .); test -z "$$out" || { echo "run gofmt -w on:"; echo "$$out"; exit 1; }

vet:
	$(call each,$(GO) vet ./...)

tidy:
	$(call each,$(GO) mod tidy -diff)

staticcheck:
	$(call each,$(GO) run $(STATICCHECK) ./...)

i386:
	GOARCH=386 $(GO) test ./...

# Big-endian; needs qemu-s390x-static.
bigendian:
	GOARCH=s390x $(GO) test -exec qemu-s390x-static ./wire/... ./handshake

# The codec on the processors that this one is not: without assembly, without AVX2 and AVX, and on ARM. Needs qemu.
processors:
	$(GO) test -tags purego ./wire/...
	GOARCH=amd64 $(GO) test -c -o $(WIRETEST) ./wire && for cpu in Nehalem Haswell; do (cd wire && qemu-x86_64-static -cpu $$cpu $(WIRETEST)) || exit 1; done; rm $(WIRETEST)
	GOARCH=arm64 $(GO) test -exec qemu-aarch64-static ./wire/...

# The tests compile too, which vet sees to.
cross:
	@for t in $(CROSS); do echo "$$t: vet"; GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) vet ./... || exit 1; done

# The stripped client of examples/minimal has at most 4.8 and 2.51 MiB.
size:
	@.ci/size 5033164
	@.ci/size 2629632 -tags notls

peers:
	cd interop/peers && npm ci --ignore-scripts --no-audit --no-fund

# All 517 cases against all other implementations, and the table of docs/conformance-peers.md anew: takes an hour or two.
conformance: peers
	cd interop && $(GO) test ./conformance -full -update -timeout 0

# Against other implementations, proxies and a browser; interop/README.md names what must be installed.
interop: peers
	cd interop && $(GO) test -count=1 ./...
