//go:build !unix

package serve

import "os"

func stdin() *os.File { return os.Stdin }
