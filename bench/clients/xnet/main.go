// Command xnet measures the client of golang.org/x/net/websocket.
package main

import (
	"github.com/fibersock/fibersock/bench/clients/internal/measure"
	"github.com/fibersock/fibersock/interop/peers/xnet"
)

func main() {
	measure.Main(measure.Client{
		Name:   "xnet",
		Module: xnet.Library.Module,
		Notes:  "a Codec",
		Run:    measure.Library(xnet.Library),
	})
}
