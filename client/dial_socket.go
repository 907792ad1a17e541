//go:build !js

package client

import "context"

// usesBrowser reports whether Dial uses the WebSocket of the browser.
func usesBrowser(*Config) bool { return false }

func (d *dialer) connectBrowser(context.Context) (*Conn, error) { return nil, nil }

// isPermanentBrowser reports whether err is a permanent *BrowserError.
func isPermanentBrowser(error) bool { return false }
