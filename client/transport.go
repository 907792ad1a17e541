package client

import "github.com/fibersock/fibersock/internal/netloop"

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
	switch e := err.(type) {
	case *netloop.TimeoutError:
		return &TimeoutError{Missing: "write progress", After: e.After, Option: "WriteTimeout"}
	case *netloop.PanicError:
		value := e.Value
		if value == "runtime.Goexit was called" {
			value = ErrGoexit
		}
		return &PanicError{Value: value, Stack: e.Stack}
	}
	return err
}
