package client_test

import (
	"errors"
	"testing"

	"github.com/fibersock/fibersock/client"
)

// T-H06: the text of the cause is that of a browser, and is escaped. The
// conditions of the error are tested in Chromium: see interop.
func TestBrowserErrorText(t *testing.T) {
	cause := errors.New("JavaScript error: \x1b[2J")
	for want, err := range map[string]*client.BrowserError{
		"websocket: the browser's WebSocket does not support Config.Header": {Option: "Header"},
		`websocket: browser: JavaScript error: \x1b[2J`:                     {Err: cause},
	} {
		if err.Error() != want || errors.Unwrap(err) != err.Err {
			t.Errorf("%q, want %q; wraps %v", err, want, errors.Unwrap(err))
		}
	}
}
