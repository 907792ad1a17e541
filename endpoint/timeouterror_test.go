package endpoint_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
)

// A TimeoutError names the limit and the option, and is a timeout by every
// convention of the standard library.
func TestTimeoutError(t *testing.T) {
	err := error(&endpoint.TimeoutError{Missing: "Pong", After: 10 * time.Second, Option: "PongTimeout"})
	check.Equal(t, err.Error(), "websocket: no Pong for 10s (PongTimeout)", "the text")
	check.Equal(t, (&endpoint.TimeoutError{Missing: "message", After: time.Second}).Error(), "websocket: no message for 1s", "the text")
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v is no net.Error that is a timeout", err)
	}
	for _, target := range []error{os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		if !errors.Is(err, target) {
			t.Errorf("it is not %v", target)
		}
	}
	if errors.Is(err, context.Canceled) {
		t.Error("it is context.Canceled")
	}
}

// text is a value with a method String.
type text string

func (t text) String() string { return "the " + string(t) }

// A PanicError has the value and the stack of a function that panicked or
// exited.
func TestPanicError(t *testing.T) {
	cause := errors.New("cause")
	for _, tt := range []struct {
		value any
		want  string // behind the prefix
	}{
		{cause, "cause"},
		{"text", "text"},
		{text("value"), "the value"},
		{1, "(neither an error nor a text)"},
	} {
		err := endpoint.NewPanicError(tt.value)
		if got, want := err.Error(), "websocket: panic in a function of the application: "+tt.want; got != want {
			t.Errorf("the text is %q, want %q", got, want)
		}
		if len(err.Stack) == 0 {
			t.Error("there is no stack")
		}
	}
	if !errors.Is(endpoint.NewPanicError(cause), cause) {
		t.Error("the error does not unwrap to the value")
	}
	goexit := endpoint.NewPanicError(nil)
	check.Equal(t, goexit.Error(), "websocket: a function of the application did not return: runtime.Goexit was called", "the text")
	if !errors.Is(goexit, endpoint.ErrGoexit) {
		t.Error("the error of a call of runtime.Goexit is not ErrGoexit")
	}
	if errors.Unwrap(endpoint.NewPanicError("text")) != nil {
		t.Error("the error unwraps to a text")
	}
}
