package httpupgrade_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// undated is a net.Conn whose deadlines fail, as those of an SSH channel do.
type undated struct{ net.Conn }

var errUndated = errors.New("deadlines are not supported")

func (undated) SetDeadline(time.Time) error      { return errUndated }
func (undated) SetReadDeadline(time.Time) error  { return errUndated }
func (undated) SetWriteDeadline(time.Time) error { return errUndated }

// handingOver is the http.ResponseWriter of an HTTP server that hands nc over.
type handingOver struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (w handingOver) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.nc, bufio.NewReadWriter(bufio.NewReader(w.nc), bufio.NewWriter(w.nc)), nil
}

// A connection without deadlines is served like any other
// (gorilla/websocket#911). It used to be refused because its deadlines could
// not be removed.
func TestConnWithoutDeadlines(t *testing.T) {
	s := echoServer()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request())))
	check.Must(t, err)
	check.Must(t, httpupgrade.Upgrade(s, handingOver{httptest.NewRecorder(), undated{ours}}, r, nil))
	theirs.SetDeadline(time.Now().Add(10 * time.Second))
	br := bufio.NewReader(theirs)
	if response, err := http.ReadResponse(br, nil); err != nil || response.StatusCode != 101 {
		t.Fatalf("answered with %v, %v", response, err)
	}
	wantEcho(t, theirs, br)
	theirs.Close()
	check.OK(t, s.Shutdown(t.Context()))
}

// undatedListener accepts connections without deadlines.
type undatedListener struct{ net.Listener }

func (l undatedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return undated{nc}, nil
}

// An http.Server cannot hand over a connection without deadlines before the
// client sends more bytes, because it reads ahead. The client is refused at
// once, and Log gets the reason. The handshake used to block as long as the
// client was silent.
func TestHTTPServerOnConnsWithoutDeadlines(t *testing.T) {
	s := echoServer()
	logged := make(chan error, 1)
	s.Log = func(err error) { logged <- err }
	hs := httptest.NewUnstartedServer(httpupgrade.Handler(s))
	hs.Listener = undatedListener{hs.Listener}
	hs.Start()
	defer stop(t, hs, s)
	r, _, nc := exchange(t, hs.URL, request())
	defer nc.Close() // before stop: net/http waits for that, too
	if r.StatusCode != 500 {
		t.Errorf("answered with %s", r.Status)
	}
	if err := <-logged; !errors.Is(err, errUndated) {
		t.Errorf("logged %v", err)
	}
}
