//go:build js

// This program is the client of TestWasm. It runs scenarios against the server
// whose URLs are its arguments, and prints a JSON object: the error of each
// scenario, "" if it passed. The object is also the global variable results of
// the page.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall/js"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/cookies"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

// The URLs of the server, without a slash at their end.
var url, secureURL = os.Args[1], os.Args[2]

var scenarios = map[string]func(ctx context.Context) error{
	"text":                  text,
	"binary":                binary,
	"large messages":        large,
	"fragments":             fragments,
	"messages read in part": reader,
	"subprotocol":           subprotocol,
	"our close":             ourClose,
	"close of the server":   serverClose,
	"lost connection":       lost,
	"timeout of Receive":    receiveTimeout,
	"timeout of Dial":       dialTimeout,
	"CloseNow":              closeNow,
	"ping":                  ping,
	"heartbeat":             heartbeat,
	"wss":                   wss,
	"limit":                 limit,
	"write timeout":         writeTimeout,
	"send after the end":    sendAfterEnd,
	"refusal":               refusal,
	"options":               options,
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second) // the test waits for 30
	defer cancel()
	results := make(map[string]string)
	for name, run := range scenarios {
		results[name] = ""
		if err := run(ctx); err != nil {
			results[name] = err.Error()
		}
	}
	encoded, err := json.Marshal(results)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(encoded))
	js.Global().Call("finished", string(encoded))
	select {} // a timer that fires after the program's end is an error of the page
}

// dial opens a connection and calls use with it.
func dial(ctx context.Context, path string, cfg *client.Config, use func(c *client.Conn) error) error {
	c, err := client.Dial(ctx, url+path, cfg)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	return use(c)
}

// echo sends a message and receives it.
func echo(ctx context.Context, c *client.Conn, op wire.Opcode, p []byte) error {
	if err := c.Send(op, p); err != nil {
		return err
	}
	return receive(ctx, c, op, p)
}

func receive(ctx context.Context, c *client.Conn, op wire.Opcode, want []byte) error {
	m, err := c.Receive(ctx)
	if err == nil && (m.Opcode != op || !bytes.Equal(m.Payload, want)) {
		err = fmt.Errorf("received %v of %d bytes, want %v of %d", m.Opcode, len(m.Payload), op, len(want))
	}
	return err
}

func text(ctx context.Context) error {
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		for _, s := range []string{"Hello, 世界", "", "\ufeffa byte order mark", "\x00\u2028🙂", "\u0080\uffff\U0010ffff"} {
			if err := echo(ctx, c, wire.Text, []byte(s)); err != nil {
				return fmt.Errorf("%q: %w", s, err)
			}
		}
		return c.Close(wire.NormalClosure, "")
	})
}

func binary(ctx context.Context) error {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	cfg := &client.Config{Compression: &permessage.Deflate{}} // the browser negotiates, not the client
	return dial(ctx, "/echo", cfg, func(c *client.Conn) error {
		for _, p := range [][]byte{all, nil, {0}} {
			if err := echo(ctx, c, wire.Binary, p); err != nil {
				return err
			}
		}
		return c.Close(wire.NormalClosure, "")
	})
}

func large(ctx context.Context) error {
	p := bytes.Repeat([]byte("0123456789äöüß"), 300_000)
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		return errors.Join(echo(ctx, c, wire.Binary, p), echo(ctx, c, wire.Text, p), c.Close(wire.NormalClosure, ""))
	})
}

// The browser gets the fragments as one message, also if one ends inside a
// character.
func fragments(ctx context.Context) error {
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		w, err := c.NextWriter(wire.Text)
		if err != nil {
			return err
		}
		for _, part := range []string{"", "Gr\xc3", "\xbc\xc3\x9f", "e"} {
			if _, err := w.Write([]byte(part)); err != nil {
				return err
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if err := c.SendPong(nil); err != nil {
				return err
			}
		}
		return errors.Join(w.Close(), receive(ctx, c, wire.Text, []byte("Grüße")), c.Close(wire.NormalClosure, ""))
	})
}

func reader(ctx context.Context) error {
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		if err := errors.Join(c.SendBinary(make([]byte, 100_000)), c.SendText("next")); err != nil {
			return err
		}
		_, r, err := c.NextReader(ctx)
		if err != nil {
			return err
		}
		if _, err := r.Read(make([]byte, 10)); err != nil {
			return err
		}
		return receive(ctx, c, wire.Text, []byte("next"))
	})
}

func subprotocol(ctx context.Context) error {
	return dial(ctx, "/echo", &client.Config{Subprotocols: []string{"unknown", "chat"}}, func(c *client.Conn) error {
		if got := c.Subprotocol(); got != "chat" {
			return fmt.Errorf("subprotocol %q", got)
		}
		return c.Close(wire.NormalClosure, "")
	})
}

// The server repeats the code. TestWasm checks the codes that it received.
func ourClose(ctx context.Context) error {
	for code, want := range map[wire.StatusCode]wire.StatusCode{
		0:                     wire.NoStatusReceived,
		wire.NormalClosure:    wire.NormalClosure,
		wire.GoingAway:        wire.NoStatusReceived, // a page cannot send it
		wire.Unauthorized:     wire.Unauthorized,
		wire.StatusCode(4999): 4999,
	} {
		err := dial(ctx, "/record", nil, func(c *client.Conn) error {
			reason := ""
			if code != 0 {
				reason = "Grüße, 世界"
			}
			if err := c.Close(code, reason); err != nil {
				return err
			}
			if c.CloseCode() != want || c.State() != client.Closed {
				return fmt.Errorf("code %v after %v", c.CloseCode(), code)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func serverClose(ctx context.Context) error {
	for _, code := range []wire.StatusCode{0, wire.NormalClosure, wire.GoingAway, wire.TryAgainLater, 4000} {
		err := dial(ctx, "/close", nil, func(c *client.Conn) error {
			reason := ""
			if code != 0 {
				reason = "Grüße, 世界"
			}
			if err := c.Sendf("%d %s", code, reason); err != nil {
				return err
			}
			_, err := c.Receive(ctx)
			want := code
			if want == 0 {
				want = wire.NoStatusReceived
			}
			var closed *client.CloseError
			if !errors.As(err, &closed) || closed.Code != want || closed.Reason != reason {
				return fmt.Errorf("received %v after %v %q", err, code, reason)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func lost(ctx context.Context) error {
	return dial(ctx, "/cut", nil, func(c *client.Conn) error {
		if err := c.SendText("cut"); err != nil {
			return err
		}
		_, err := c.Receive(ctx)
		var lost *client.LostError
		if !errors.As(err, &lost) || !errors.Is(err, net.ErrClosed) || c.CloseCode() != wire.AbnormalClosure {
			return fmt.Errorf("received %v, code %v", err, c.CloseCode())
		}
		return nil
	})
}

func receiveTimeout(ctx context.Context) error {
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		for range 3 {
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			_, err := c.Receive(short)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
				return fmt.Errorf("received %v; the connection: %v", err, c.Err())
			}
			if err := echo(ctx, c, wire.Text, []byte("still open")); err != nil {
				return err
			}
		}
		return c.Close(wire.NormalClosure, "")
	})
}

func dialTimeout(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	for range 2 { // the second time the context has ended before
		err := dial(short, "/hang", nil, func(*client.Conn) error { return errors.New("it is open") })
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("dial: %v", err)
		}
	}
	err := dial(ctx, "/hang", &client.Config{HandshakeTimeout: 10 * time.Millisecond}, func(*client.Conn) error { return errors.New("it is open") })
	var timeout *client.TimeoutError
	if !errors.As(err, &timeout) || timeout.Option != "HandshakeTimeout" {
		return fmt.Errorf("dial: %v", err)
	}
	return nil
}

func closeNow(ctx context.Context) error {
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		received := make(chan error)
		go func() {
			_, err := c.Receive(ctx)
			received <- err
		}()
		if err := c.CloseNow(); err != nil {
			return err
		}
		for _, err := range []error{<-received, c.SendText("late"), c.Err()} {
			if !errors.Is(err, client.ErrClosed) {
				return fmt.Errorf("after CloseNow: %v", err)
			}
		}
		return nil
	})
}

// The client answers its Pings itself, and keeps the messages before.
func ping(ctx context.Context) error {
	return dial(ctx, "/echo", nil, func(c *client.Conn) error {
		if err := c.SendText("before"); err != nil {
			return err
		}
		_, err := c.Ping(ctx)
		return errors.Join(err, c.SendPing([]byte("payload")), receive(ctx, c, wire.Text, []byte("before")), c.Close(wire.NormalClosure, ""))
	})
}

// The answers of the client itself would be the RTT of a heartbeat.
func heartbeat(ctx context.Context) error {
	return dial(ctx, "/echo", &client.Config{PingInterval: 2 * time.Millisecond}, func(c *client.Conn) error {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := c.Receive(short); !errors.Is(err, context.DeadlineExceeded) || c.RTT() != 0 {
			return fmt.Errorf("received %v, RTT %v", err, c.RTT())
		}
		return c.Close(wire.NormalClosure, "")
	})
}

func wss(ctx context.Context) error {
	c, err := client.Dial(ctx, secureURL+"/echo", nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if got := c.RemoteAddr().String(); got != secureURL+"/echo" {
		return fmt.Errorf("remote address %q", got)
	}
	return errors.Join(echo(ctx, c, wire.Text, []byte("secret")), c.Close(wire.NormalClosure, ""))
}

func limit(ctx context.Context) error {
	return dial(ctx, "/echo", &client.Config{Limits: client.Limits{Message: 10}}, func(c *client.Conn) error {
		if err := c.SendText("eleven chrs"); err != nil {
			return err
		}
		_, err := c.Receive(ctx)
		var exceeded *client.LimitError
		if !errors.As(err, &exceeded) || c.CloseCode() != wire.AbnormalClosure {
			return fmt.Errorf("received %v, code %v", err, c.CloseCode())
		}
		return nil
	})
}

// The server of /stall does not read. The browser compresses, and so the message
// is random.
func writeTimeout(ctx context.Context) error {
	return dial(ctx, "/stall", &client.Config{WriteTimeout: time.Second}, func(c *client.Conn) error {
		p := make([]byte, 32<<20)
		rand.Read(p)
		err := c.SendBinary(p)
		var lost *client.LostError
		var timeout *client.TimeoutError
		if !errors.As(err, &lost) || !errors.As(err, &timeout) || timeout.Option != "WriteTimeout" {
			return fmt.Errorf("sent, with %v", err)
		}
		return nil
	})
}

// A message that the browser would discard is an error, and the Close of the
// server is the reason.
func sendAfterEnd(ctx context.Context) error {
	return dial(ctx, "/close", nil, func(c *client.Conn) error {
		if err := c.SendText("4000 enough"); err != nil {
			return err
		}
		for c.SendText("0 another") == nil {
			select {
			case <-ctx.Done():
				return errors.New("messages after the end are accepted")
			case <-time.After(time.Millisecond):
			}
		}
		_, err := c.Receive(ctx)
		var closed *client.CloseError
		if !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "enough" {
			return fmt.Errorf("received %v", err)
		}
		return nil
	})
}

func refusal(ctx context.Context) error {
	err := dial(ctx, "/refuse", nil, func(*client.Conn) error { return nil })
	var failed *client.BrowserError
	if !errors.As(err, &failed) || failed.Option != "" || client.Permanent(err) {
		return fmt.Errorf("dial: %v, permanent: %t", err, client.Permanent(err))
	}
	err = dial(ctx, "/echo", &client.Config{Subprotocols: []string{"not a token"}}, func(*client.Conn) error { return nil })
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "not a token") || !client.Permanent(err) {
		return fmt.Errorf("with a subprotocol that is not valid: %v", err)
	}
	return nil
}

func options(ctx context.Context) error {
	header := map[string][]string{"X": {"x"}}
	for option, cfg := range map[string]*client.Config{
		"Header":      {Header: header},
		"Host":        {Host: "example.com"},
		"TLS":         {TLS: &client.TLSConfig{}},
		"StartTLS":    {StartTLS: client.TLSFunc(nil)},
		"Proxy":       {Proxy: client.ProxyURL("http://localhost")},
		"ProxyHeader": {ProxyHeader: header},
		"ProxyTLS":    {ProxyTLS: &client.TLSConfig{}},
		"Redirects":   {Redirects: client.FollowRedirects(1)},
		"Cookies":     {Cookies: cookies.Jar(http.CookieJar(nil))},
		"Trace":       {Trace: client.NewTrace(nil)},
	} {
		err := dial(ctx, "/echo", cfg, func(*client.Conn) error { return nil })
		var failed *client.BrowserError
		if !errors.As(err, &failed) || failed.Option != option || !strings.Contains(err.Error(), "Config."+option) || !client.Permanent(err) {
			return fmt.Errorf("with %s: %v", option, err)
		}
	}
	return nil
}
