// Command gws measures the client of github.com/lxzan/gws.
package main

import (
	"github.com/fibersock/fibersock/bench/clients/internal/measure"
	"github.com/fibersock/fibersock/interop/peers/gws"
)

func main() {
	measure.Main(measure.Client{
		Name:   "gws",
		Module: gws.Library.Module,
		UTF8:   true,
		Notes:  "ReadLoop; CheckUtf8Enabled, which checks the text it sends too; WriteMessage in OnMessage",
		Run:    measure.Library(gws.Library),
	})
}
