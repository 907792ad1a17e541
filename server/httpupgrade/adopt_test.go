package httpupgrade_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// within returns the next value of ch.
func within[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("no value received")
		panic("unreachable")
	}
}

// The http.Handler returns, and the goroutine of the request exits, while the
// connection stays open, also if a handler of the connection blocks.
func TestHandlerReturnsWhileTheConnectionIsOpen(t *testing.T) {
	returned, ended := make(chan error, 1), make(chan struct{})
	opened, release := make(chan any, 1), make(chan struct{})
	s := echoServer()
	s.Handler.Open = func(c *server.Conn) {
		opened <- c.Value()
		<-release
	}
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(ended) })
		returned <- httpupgrade.Upgrade(s, w, r, "somebody")
	}), s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		checkEcho(t, wsURL(hs.URL), nil)
	}()
	check.OKf(t, within(t, returned), "Upgrade")
	within(t, ended)
	if value := within(t, opened); value != "somebody" {
		t.Errorf("the value is %v", value)
	}
	close(release)
	within(t, done)
}

// Upgrade returns the reason of a refusal, which the client has received.
func TestUpgradeReturnsWhyItHasNotUpgraded(t *testing.T) {
	s := echoServer()
	s.Log = func(error) {}
	returned := make(chan error, 1)
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wrapped" {
			w = wrapped{w}
		}
		returned <- httpupgrade.Upgrade(s, w, r, nil)
	}), s)
	var refused *handshake.Error
	r, _, _ := exchange(t, hs.URL, request("Origin: https://evil.example")) // 6455-10.2-a
	if err := within(t, returned); !errors.As(err, &refused) || refused.Status != 403 || r.StatusCode != 403 {
		t.Errorf("a foreign origin: %v, answered with %s", err, r.Status)
	}
	r, _, _ = exchange(t, hs.URL, request("GET /wrapped HTTP/1.1"))
	if err := within(t, returned); !errors.Is(err, http.ErrNotSupported) || r.StatusCode != 500 {
		t.Errorf("no Hijacker: %v, answered with %s", err, r.Status)
	}
}

// A client sends its first messages with the request, more than net/http has
// read (6455-4.2.2-m).
func TestMuchBehindTheRequest(t *testing.T) {
	for _, size := range []int{100, 4 << 10, 64 << 10, 1 << 20} {
		s := echoServer()
		hs := serve(t, httpupgrade.Handler(s), s)
		message := []byte(strings.Repeat("a", size))
		all := []byte(request())
		all = wire.AppendFrame(all, wire.Header{Fin: true, Opcode: wire.Text, Masked: true}, message)
		all = wire.AppendFrame(all, wire.Header{Fin: true, Opcode: wire.Ping, Masked: true}, []byte("?"))
		nc, br := dialRaw(t, hs.URL)
		sent := make(chan error, 1)
		go func() { sent <- check.Err(nc.Write(all)) }()
		if r, err := http.ReadResponse(br, nil); err != nil || r.StatusCode != 101 {
			t.Fatalf("%v, %v", r, err)
		}
		want := append(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text}, message), "\x8a\x01?"...)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(br, got); err != nil || string(got) != string(want) {
			t.Errorf("%d bytes: %v, or the wrong ones", size, err)
		}
		check.OK(t, within(t, sent))
		nc.Close()
	}
}

// http.Server.Shutdown leaves the connections open. Server.Shutdown closes them
// with 1001 (6455-7.3-a), and later requests are refused.
func TestShutdown(t *testing.T) {
	s := echoServer()
	hs := httptest.NewServer(httpupgrade.Handler(s))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	late, lateResponse := dialRaw(t, hs.URL)
	c, err := client.Dial(ctx, wsURL(hs.URL), nil)
	check.Must(t, err)
	defer c.CloseNow()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()
	_, err = c.Receive(ctx)
	var closed *client.CloseError
	if !errors.As(err, &closed) || closed.Code != wire.GoingAway {
		t.Errorf("the client got %v", err)
	}
	check.OKf(t, within(t, down), "Shutdown")
	check.Must(t, check.Err(io.WriteString(late, request())))
	if r, err := http.ReadResponse(lateResponse, nil); err != nil || r.StatusCode != 503 {
		t.Errorf("late: %v, %v", r, err)
	}
	late.Close()
	check.OK(t, hs.Config.Shutdown(ctx))
	hs.Close()
}
