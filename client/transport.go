package client

import (
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/netloop"
)

// engineWriter is the socket as the engine writes to it.
type engineWriter struct{ *netloop.NetConn }

func (w engineWriter) Write(p []byte) (int, error) {
	n, err := w.NetConn.Write(p)
	return n, translate(err)
}

// translate returns the error of the application for an error of the socket,
// which knows neither options nor the types of package endpoint.
//
//go:noinline
func translate(err error) error {
	if timeout, ok := err.(*netloop.TimeoutError); ok {
		return &TimeoutError{Missing: "write progress", After: timeout.After, Option: "WriteTimeout"}
	}
	return err
}

// recovered returns the error of a function of the application that did not
// return.
func recovered(value any) error { return endpoint.NewPanicError(value) }
