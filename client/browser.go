package client

// BrowserError reports that Dial cannot use the WebSocket of the browser: the
// configuration has an option that pages do not have, the JavaScript
// environment has no WebSocket or does not allow the connection, or the
// connection failed. A page does not learn the reason of a failure. Only
// programs for GOOS=js have this error.
type BrowserError struct {
	Option string // the field of Config that the browser does not support; "" for another cause
	Err    error  // the cause; nil with Option
}

// Error returns a text with the option or the cause.
func (e *BrowserError) Error() string {
	if e.Option != "" {
		return "websocket: the browser's WebSocket does not support Config." + e.Option
	}
	return "websocket: browser: " + plain(withoutPrefix(e.Err))
}

// Unwrap returns the cause.
func (e *BrowserError) Unwrap() error { return e.Err }
