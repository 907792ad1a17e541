package interop

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A mailbox passes events of a connection from the reading goroutine to the
// test.
type mailbox struct {
	ctx    context.Context
	events chan event
}

func newMailbox(t *testing.T) mailbox {
	return mailbox{ctx: patient(t), events: make(chan event, 16)}
}

// put delivers e until the end of the test.
func (m mailbox) put(e event) {
	select {
	case m.events <- e:
	case <-m.ctx.Done():
	}
}

func (m mailbox) receive() (event, error) {
	return within(m.ctx, m.events)
}

// within receives from c until ctx ends.
func within[T any](ctx context.Context, c <-chan T) (T, error) {
	select {
	case v := <-c:
		return v, nil
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// serveHTTP serves handler on a free port until the end of the test and returns the WebSocket URL.
func serveHTTP(t *testing.T, o options, handler http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = serverTLS(o)
	scheme := "ws"
	if o.secure {
		scheme = "wss"
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return scheme + "://" + s.Listener.Addr().String() + "/"
}

// next returns a function that waits for the next accepted connection.
func next[E endpoint](t *testing.T, accepted <-chan E) func() endpoint {
	return func() endpoint {
		t.Helper()
		e, err := within(patient(t), accepted)
		check.Mustf(t, err, "accept")
		return e
	}
}

// ended turns the error that ended a connection into an event, with asClose looking for the peer's Close frame in it. Anything else than a
// closing handshake is the status code 1006.
func ended(err error, asClose func(error) (wire.StatusCode, string, bool)) event {
	if code, reason, ok := asClose(err); ok {
		return event{kind: closed, code: code, reason: reason}
	}
	return event{kind: closed, code: wire.AbnormalClosure, reason: err.Error()}
}

var errNoPong = errors.New("the pong did not come")
