// Command gobwas echoes with github.com/gobwas/ws, on one goroutine for each
// connection.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gobwas",
		Module: gobwas.Library.Module,
		UTF8:   true,
		Loop:   "goroutines",
		Notes: "no net/http, zero-copy upgrade; wsutil.Reader with CheckUTF8 on 4 KiB of bufio, straight into wsutil.Writer's buffer of 4 KiB, " +
			"DisableFlush; broadcast: CompileFrame and a loop of Write, never compressed",
		NoTakeover:   "the library has no context takeover",
		NoWindowBits: "the library's window has 15 bits always",
		Serve:        serve.Library(gobwas.Library, false),
	})
}
