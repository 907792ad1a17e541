//go:build race

package deflate_test

func init() { raceDetector = true }
