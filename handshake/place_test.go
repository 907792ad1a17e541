package handshake

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// TestPlacesInAHeadAreNamed checks the names for errors.
func TestPlacesInAHeadAreNamed(t *testing.T) {
	for p, want := range map[place]string{
		atStart: "head", inMethod: "method", inTarget: "request target", inRequestVersion: "HTTP version",
		inStatusLine: "status line", afterStatus: "status line", inReason: "reason phrase", startLineFeed: "head",
		lineStart: "header field name", inName: "header field name", inValue: "header field value",
		valueLineFeed: "head", lastLineFeed: "head", headDone: "head",
	} {
		check.Equal(t, p.String(), want, "place %d is named", p)
	}
}
