package main

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// A caller is a client. Any number of goroutines may call.
type caller struct {
	conn *client.Conn
	done chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	lastID  int
	waiting map[string]chan response // the calls without an answer, by ID
}

// dial connects to a server. The end of ctx does not end the connection.
func dial(ctx context.Context, url string) (*caller, error) {
	conn, err := client.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	return newCaller(conn), nil
}

func newCaller(conn *client.Conn) *caller {
	c := &caller{conn: conn, done: make(chan struct{}), waiting: make(map[string]chan response)}
	go c.receive()
	return c
}

func (c *caller) close() error { return c.conn.Close(wire.NormalClosure, "") }

// receive delivers answers until the connection ends.
func (c *caller) receive() {
	defer close(c.done)
	for {
		m, err := c.conn.Receive(context.Background())
		if err != nil {
			return // conn.Err has the reason
		}
		var answer response
		if json.Unmarshal(m.Payload, &answer) != nil {
			continue
		}
		c.mu.Lock()
		waiting := c.waiting[string(answer.ID)] // nil if the caller has given up
		delete(c.waiting, string(answer.ID))
		c.mu.Unlock()
		if waiting != nil {
			waiting <- answer
		}
	}
}

// call calls a method and decodes its result. The error is an *rpcError if the
// method failed.
func (c *caller) call(ctx context.Context, method string, params, result any) error {
	encoded, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answered := make(chan response, 1)
	c.mu.Lock()
	c.lastID++
	id := strconv.Itoa(c.lastID)
	c.waiting[id] = answered
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	if err := c.conn.SendJSON(request{"2.0", json.RawMessage(id), method, encoded}); err != nil {
		return err
	}
	select {
	case answer := <-answered:
		if answer.Error != nil {
			return answer.Error
		}
		return json.Unmarshal(answer.Result, result)
	case <-c.done:
		return c.conn.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
