//go:build !race && unix

package netloop

const raceDetector = false
