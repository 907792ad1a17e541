//go:build !race && !portable

package server

const raceDetector = false
