package main

import (
	"encoding/json"
	"errors"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A request with an ID is a call. One without is a notification, which has no
// answer.
type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// An rpcError is the error of a call, with a code of JSON-RPC.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

// A method returns a result, which is encoded as JSON, or an error.
type method func(params json.RawMessage) (any, error)

// maxCalls is the number of calls of one client that may run at the same time.
// The server stops reading from a client that has as many.
const maxCalls = 16

// newServer returns a server of methods. Each call runs on its own goroutine,
// because a handler that blocks delays the next message of its connection.
func newServer(methods map[string]method) *server.Server {
	return &server.Server{
		Limits: server.Limits{Message: 1 << 20},
		Handler: server.Handler{
			Open: func(c *server.Conn) { c.SetValue(make(chan struct{}, maxCalls)) },
			Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				var r request
				if err := json.Unmarshal(p, &r); err != nil { // copies p
					c.SendJSON(response{Version: "2.0", Error: &rpcError{-32700, "the message is not JSON"}})
					return
				}
				running := c.Value().(chan struct{})
				running <- struct{}{}
				go func() {
					defer func() { <-running }()
					answer := run(methods, r)
					if r.ID != nil {
						c.SendJSON(answer) // fails only if the connection has ended
					}
				}()
			},
		},
	}
}

// run calls a method.
func run(methods map[string]method, r request) response {
	answer := response{Version: "2.0", ID: r.ID}
	f := methods[r.Method]
	if r.Version != "2.0" || f == nil {
		answer.Error = &rpcError{-32601, "there is no such method"}
		return answer
	}
	result, err := f(r.Params)
	if err == nil {
		answer.Result, err = json.Marshal(result)
	}
	if err != nil && !errors.As(err, &answer.Error) {
		answer.Error = &rpcError{-32603, err.Error()}
	}
	return answer
}
