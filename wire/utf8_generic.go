//go:build (!amd64 && !arm64) || purego

package wire

import "math"

// utf8BlocksMin is longer than any text, because this build has no assembly.
const utf8BlocksMin = math.MaxInt

func utf8Blocks([]byte) int { return 0 }
