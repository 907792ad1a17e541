//go:build (!amd64 && !arm64) || purego

package wire

import "math"

// utf8BlocksMin is longer than any text: there is nothing faster than
// UTF8.Check itself.
const utf8BlocksMin = math.MaxInt

func utf8Blocks([]byte) int { return 0 }
