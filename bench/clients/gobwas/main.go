// Command gobwas measures the client of github.com/gobwas/ws.
package main

import (
	"github.com/fibersock/fibersock/bench/clients/internal/measure"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
)

func main() {
	measure.Main(measure.Client{
		Name:   "gobwas",
		Module: gobwas.Library.Module,
		UTF8:   true,
		Notes:  "wsutil.Reader on 4 KiB of bufio, wsutil.UTF8Reader, into a reused buffer; wsutil.Writer with DisableFlush",
		Run:    measure.Library(gobwas.Library),
	})
}
