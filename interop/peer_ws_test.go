package interop

import (
	"os"
	"testing"
)

func TestNodeWS(t *testing.T) {
	node := find(t, "nodejs", "node", "nodejs")
	if _, err := os.Stat("peers/node_modules/ws"); err != nil {
		t.Fatal("the npm package ws is not installed: make peers")
	}
	runBothRoles(t, startScript(t, "npm ws", node, "peers/ws.js"))
}
