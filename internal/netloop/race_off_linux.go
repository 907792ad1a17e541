//go:build !race && !portable

package netloop

const raceDetector = false
