package interop

import (
	"os/exec"
	"testing"
)

func TestPythonWebsockets(t *testing.T) {
	// Debian's interpreter has Debian's packages; another one may be first in
	// PATH.
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import websockets").Run() == nil {
			runBothRoles(t, startScript(t, "python websockets", python, "peers/python_websockets.py"))
			return
		}
	}
	t.Fatal("Python's websockets is not installed: apt-get install python3-websockets")
}
