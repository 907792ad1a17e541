package wire_test

import (
	"encoding/hex"
	"strings"
)

// unhex converts "81 05 48656c6c6f" to bytes.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic("bad vector " + s)
	}
	return b
}
