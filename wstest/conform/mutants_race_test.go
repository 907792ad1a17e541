//go:build race

package conform

// The race detector makes work on octets take up to thirty times as long, and there is nothing in large messages for it to find that is
// not in small ones; of the codec, which is one goroutine's, it has little to say at all.
func init() {
	tooMuchForRace = " 9.1.2 9.1.3 9.1.4 9.1.5 9.1.6 9.2.* 9.3.* 9.4.* 9.5.* 9.6.* 9.7.3 9.7.4 9.7.5 9.7.6 9.8.* 12.*.3 12.*.4 12.*.5 12.*.11 13.*.3 13.*.4 13.*.5 13.*.11"
	leftOut = "9.* 12.* 13.*"
	messageSizes = messageSizes[:len(messageSizes)/2]
}
