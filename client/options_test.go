package client_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Config.Host replaces the URL's host in the request (gorilla/websocket#63,
// coder/websocket#257), with the same grammar. Config.Header cannot.
func TestHostCanBeSet(t *testing.T) {
	requests := make(chan string, 1)
	cfg := &client.Config{Host: "virtual.example:8080", Header: map[string][]string{"User-Agent": {"me/1"}}, DialContext: scripted(t, func(nc net.Conn) {
		request, _ := readRequest(nc)
		requests <- request
	})}
	if _, err := client.Dial(t.Context(), "ws://user:pass@server.example/", cfg); err == nil {
		t.Error("no error")
	}
	request := <-requests
	if !strings.Contains(request, "\r\nHost: virtual.example:8080\r\n") || strings.Count(request, "ost: ") != 1 ||
		!strings.Contains(request, "\r\nUser-Agent: me/1\r\n") || !strings.Contains(request, "\r\nAuthorization: Basic ") {
		t.Errorf("the request is %q", request)
	}
	for _, cfg := range []client.Config{
		{Host: "two lines\r\n"},
		{Host: "h:99999"},
		{Host: "h", Header: map[string][]string{"Host": {"h"}}},
		{Header: map[string][]string{"host": {"h"}}},
	} {
		_, err := client.Dial(t.Context(), "ws://server.example/", &cfg)
		if field := check.As[*handshake.FieldError](t, err, "%+v", cfg); field != nil {
			check.Equal(t, strings.ToLower(field.Field), "host", "field")
		}
	}
}

// Proxies exist that demand a User-Agent or a token of their own
// (gorilla/websocket#479).
func TestHeaderOfCONNECTCanBeSet(t *testing.T) {
	requests := make(chan string, 1)
	cfg := &client.Config{
		Proxy:       client.ProxyURL("http://user:pass@proxy.example"),
		ProxyHeader: map[string][]string{"User-Agent": {"me/1"}, "proxy-authorization": {"Bearer x"}},
		DialContext: scripted(t, func(nc net.Conn) {
			request, _ := readRequest(nc)
			requests <- request
		}),
	}
	if _, err := client.Dial(t.Context(), "ws://server.example/", cfg); err == nil {
		t.Error("no error")
	}
	const want = "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\nUser-Agent: me/1\r\nproxy-authorization: Bearer x\r\n\r\n"
	check.Equal(t, <-requests, want, "the request")
	for _, header := range []map[string][]string{{"Host": {"x"}}, {"X": {"a\r\nb"}}, {"X Y": {"a"}}, {"Content-Length": {"1"}}} {
		cfg.ProxyHeader = header
		check.As[*handshake.FieldError](t, check.Err(client.Dial(t.Context(), "ws://server.example/", cfg)), "%v", header)
	}
}

// Config.MaxOutgoingFrame bounds the frames of every call that sends.
func TestMaxOutgoingFrame(t *testing.T) {
	c, f := openTCP(t, &client.Config{MaxOutgoingFrame: 32 << 10})
	p := bytes.Repeat([]byte("x"), 100<<10)
	writer := func(send func(w *client.MessageWriter) error) func() error {
		return func() error {
			w, err := c.NextWriter(wire.Binary)
			return errors.Join(err, send(w), w.Close())
		}
	}
	for name, send := range map[string]func() error{
		"Send":     func() error { return c.Send(wire.Binary, p) },
		"SendText": func() error { return c.SendText(string(p)) },
		"Write":    writer(func(w *client.MessageWriter) error { _, err := w.Write(p); return err }),
		"io.Copy":  writer(func(w *client.MessageWriter) error { _, err := io.Copy(w, bytes.NewReader(p)); return err }),
	} {
		check.Mustf(t, send(), "%s", name)
		size := 0
		for frame, err := f.next(); ; frame, err = f.next() {
			check.Must(t, err)
			if len(frame.Payload) > 32<<10 {
				t.Errorf("%s: a frame of %d bytes", name, len(frame.Payload))
			}
			if size += len(frame.Payload); frame.Fin {
				break
			}
		}
		if size != len(p) {
			t.Errorf("%s: %d bytes in all", name, size)
		}
	}
}

// The body of a refusal in chunks used to be returned with the chunks' sizes in
// it, and after a second, although its end had arrived (oven-sh/bun#28114,
// websockets/ws#1872).
func TestChunkedRefusal(t *testing.T) {
	for name, tt := range map[string]struct{ chunks, want string }{
		"one chunk":              {"5\r\nhello\r\n0\r\n\r\n", "hello"},
		"several":                {"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n", "hello"},
		"none":                   {"0\r\n\r\n", ""},
		"more than is kept":      {"fff\r\n" + strings.Repeat("x", 0xfff) + "\r\n0\r\n\r\n", strings.Repeat("x", 1024)},
		"many more":              {strings.Repeat("1\r\nx\r\n", 1000), strings.Repeat("x", 2048/6)},
		"a size that is too low": {"4\r\nhello\r\n0\r\n\r\n", "hello"},
		"no size":                {"hello\r\n", ""},
		"a size beyond all":      {"5\r\nhello\r\nffffffffffffffffffff\r\n", "hello"},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			start := time.Now()
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
				readRequest(nc)
				io.WriteString(nc, "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"+tt.chunks)
				io.Copy(io.Discard, nc) // the connection is kept alive
			})})
			var refused *client.HandshakeError
			if !errors.As(err, &refused) || string(refused.Body) != tt.want {
				t.Errorf("got %v, body %q", err, refused.Body)
			}
			if took := time.Since(start); took > 0 {
				t.Errorf("it took %v", took)
			}
		})
	}
	check.Bubble(t, "no end", func(t *testing.T) {
		ctx := check.Within(t, 200*time.Millisecond)
		start := time.Now()
		_, err := client.Dial(ctx, "ws://server.example/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
			readRequest(nc)
			io.WriteString(nc, "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
			io.Copy(io.Discard, nc)
		})})
		var refused *client.HandshakeError
		if !errors.As(err, &refused) || string(refused.Body) != "hel" || time.Since(start) != 200*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// SetLimits changes the limits of one connection while it is open.
func TestSetLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		frame, message int64
		in             []byte
		option         string // of the *LimitError; "" if the message is within the limits
	}{
		"a larger message":          {0, 5, textFrame("12345"), ""},
		"a message over it":         {0, 5, textFrame("123456"), "Limits.Message"},
		"a frame over it":           {2, 10, textFrame("12345"), "Limits.Frame"},
		"zero is the default":       {0, 0, textFrame(strings.Repeat("x", 1000)), ""},
		"negative is no limit":      {-1, -1, textFrame(strings.Repeat("x", 1000)), ""},
		"the rate stays":            {0, 0, append(textFrame("1"), textFrame("2")...), "Limits.MessagesPerSecond"},
		"inside a message":          {0, 7, lastFragment("45678"), "Limits.Message"},
		"inside a message, in time": {0, 8, lastFragment("45678"), ""},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			rate := int64(0)
			if strings.HasSuffix(tt.option, "PerSecond") {
				rate = 1
			}
			c, f := openPipe(t, &client.Config{Limits: client.Limits{Message: 3, MessagesPerSecond: rate}})
			if strings.HasPrefix(name, "inside") {
				f.send(firstFragment(wire.Text, "123"))
				receiveNothing(t, c)
			}
			c.SetLimits(tt.frame, tt.message)
			f.send(tt.in)
			_, err := c.Receive(t.Context())
			if rate > 0 && err == nil {
				_, err = c.Receive(t.Context())
			}
			var exceeded *client.LimitError
			if errors.As(err, &exceeded) != (tt.option != "") || exceeded != nil && exceeded.Option != tt.option || tt.option == "" && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}
