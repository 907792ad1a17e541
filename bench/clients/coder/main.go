// Command coder measures the client of github.com/coder/websocket.
package main

import (
	"github.com/fibersock/fibersock/bench/clients/internal/measure"
	"github.com/fibersock/fibersock/interop/peers/coder"
)

func main() {
	measure.Main(measure.Client{
		Name:   "coder",
		Module: coder.Library.Module,
		Notes:  "Reader into a reused buffer, Write, with a context that does not end",
		Run:    measure.Library(coder.Library),
	})
}
