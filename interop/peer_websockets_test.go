package interop

import (
	"fmt"
	"os/exec"
	"testing"
)

func TestPythonWebsockets(t *testing.T) {
	// Debian's interpreter has Debian's packages; another one may be first in
	// PATH.
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import websockets").Run() == nil {
			p := startScript(t, "python websockets", python, "peers/python_websockets.py")
			runBothRoles(t, p)
			runCompression(t, p, websocketsModes(), to8Bits)
			return
		}
	}
	t.Fatal("Python's websockets is not installed: apt-get install python3-websockets")
}

func websocketsModes() []mode {
	modes := scriptModes("",
		`[{}]`, `null`,
		`[{"server_no_context_takeover":true}]`, `[{"client_no_context_takeover":true}]`,
		`[{"server_no_context_takeover":true,"client_no_context_takeover":true}]`)
	modes = append(modes, scriptModes(asServer, `[{"client_max_window_bits":10,"require_client_max_window_bits":true}]`)...)
	// The client's offers may be several.
	modes = append(modes, scriptModes(asClient,
		`[{"client_max_window_bits":null}]`, `[{"client_max_window_bits":null,"server_max_window_bits":10}]`,
		`[{"server_max_window_bits":9,"client_max_window_bits":11},{"server_no_context_takeover":true},{}]`,
		`[{"client_no_context_takeover":true,"client_max_window_bits":null},{"client_max_window_bits":14}]`)...)
	for bits := 9; bits <= 15; bits++ {
		modes = append(modes, scriptModes("", fmt.Sprintf(`[{"server_max_window_bits":%d,"client_max_window_bits":%[1]d}]`, bits))...)
	}
	return modes
}
