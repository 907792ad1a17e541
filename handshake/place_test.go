package handshake

import "testing"

// TestPlacesInAHeadAreNamed checks the names for errors.
func TestPlacesInAHeadAreNamed(t *testing.T) {
	for p, want := range map[place]string{
		atStart: "head", inMethod: "method", inTarget: "request target", inRequestVersion: "HTTP version",
		inStatusLine: "status line", afterStatus: "status line", inReason: "reason phrase", startLineFeed: "head",
		lineStart: "header field name", inName: "header field name", inValue: "header field value",
		valueLineFeed: "head", lastLineFeed: "head", headDone: "head",
	} {
		if got := p.String(); got != want {
			t.Errorf("place %d is named %q, want %q", p, got, want)
		}
	}
}
