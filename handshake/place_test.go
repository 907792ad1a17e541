package handshake

import "testing"

// TestPlacesInAHeadAreNamed for the errors that say where a byte is not allowed.
func TestPlacesInAHeadAreNamed(t *testing.T) {
	for p, want := range map[place]string{
		atStart: "the head", inMethod: "the method", inTarget: "the request target", inRequestVersion: "the HTTP version",
		inStatusLine: "the status line", afterStatus: "the status line", inReason: "the reason phrase", startLineFeed: "the head",
		lineStart: "the name of a header field", inName: "the name of a header field", inValue: "the value of a header field",
		valueLineFeed: "the head", lastLineFeed: "the head", headDone: "the head",
	} {
		if got := p.String(); got != want {
			t.Errorf("place %d is named %q, want %q", p, got, want)
		}
	}
}
