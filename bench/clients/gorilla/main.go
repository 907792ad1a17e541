// Command gorilla measures the client of github.com/gorilla/websocket.
package main

import (
	"github.com/fibersock/fibersock/bench/clients/internal/measure"
	"github.com/fibersock/fibersock/interop/peers/gorilla"
)

func main() {
	measure.Main(measure.Client{
		Name:   "gorilla",
		Module: gorilla.Library.Module,
		Notes:  "NextReader into a reused buffer, WriteMessage",
		Run:    measure.Library(gorilla.Library),
	})
}
