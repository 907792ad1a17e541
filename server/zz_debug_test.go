package server_test

import (
	"os"
	"runtime"
)

func dumpStacks() {
	b := make([]byte, 8<<20)
	os.WriteFile("/tmp/hc.stacks", b[:runtime.Stack(b, true)], 0o644)
}
