package interop

import (
	"fmt"
	"os"
	"testing"
)

func TestNodeWS(t *testing.T) {
	node := find(t, "nodejs", "node", "nodejs")
	if _, err := os.Stat("peers/node_modules/ws"); err != nil {
		t.Fatal("the npm package ws is not installed: make peers")
	}
	p := startScript(t, "npm ws", node, "peers/ws.js")
	runBothRoles(t, p)
	modes := scriptModes("",
		`{"threshold":0}`, `{}`, `null`,
		`{"threshold":0,"serverNoContextTakeover":true}`, `{"threshold":0,"clientNoContextTakeover":true}`,
		`{"threshold":0,"serverNoContextTakeover":true,"clientNoContextTakeover":true}`)
	modes = append(modes, scriptModes(asServer, `{"serverNoContextTakeover":false}`, `{"serverMaxWindowBits":false}`, `{"clientMaxWindowBits":false}`)...)
	modes = append(modes, scriptModes(asClient, `{"clientMaxWindowBits":false}`)...)
	for bits := 8; bits <= 15; bits++ {
		modes = append(modes, scriptModes("", fmt.Sprintf(`{"serverMaxWindowBits":%d,"clientMaxWindowBits":%[1]d}`, bits))...)
	}
	runCompression(t, p, modes)
}
