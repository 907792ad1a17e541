// Command gobwas-poll echoes with github.com/gobwas/ws, an epoll poller and a
// pool of goroutines, as described by the library's author in "A Million
// WebSockets and Go" (2017), with a minimal poller. A connection without input
// has no goroutine and no buffers.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
)

// The pool of the author's chat example has 128 goroutines by default.
const workers = 128

func main() {
	serve.Main(serve.Peer{
		Name:   "gobwas-poll",
		Module: "github.com/gobwas/ws",
		UTF8:   true,
		Loop:   "epoll",
		Notes: "zero-copy upgrade; own one-shot epoll poller, a pool of 128 goroutines; buffers as in gobwas, lent to a connection with input; " +
			"broadcast: CompileFrame and a loop of Write",
		NoTopics:  "the server has no topics",
		NoWork:    "the server has no handler that computes",
		NoTLS:     "a poller of sockets does not see the read-ahead of crypto/tls; in the article a proxy terminates TLS",
		NoDeflate: "the compressor's state would stay with the connection, which the article avoids",
		Serve:     run,
	})
}
