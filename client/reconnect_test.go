package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

var errNoNetwork = errors.New("no network")

// stage is a server that a loop over Reconnecting dials: each try gets the next
// step, and the last step again and again. A step is a script of package
// wstest, or "" for an error of the network.
type stage struct {
	t     *testing.T
	steps []string
	at    []time.Duration // of each try, since the start
	start time.Time
	waits []time.Duration // as Retry reported them
	errs  []error
}

func (s *stage) dial(context.Context, string, string) (net.Conn, error) {
	step := s.steps[min(len(s.at), len(s.steps)-1)]
	s.at = append(s.at, time.Since(s.start))
	if step == "" {
		return nil, errNoNetwork
	}
	ours, theirs := wstest.Pipe(wstest.Plan{})
	go func() {
		p := wstest.NewServer(theirs)
		p.Timeout = -1
		check.OKf(s.t, p.Play(step), "step %q", step)
		theirs.Close()
	}()
	return ours, nil
}

// reconnecting runs a loop in a bubble. The body receives until the connection
// ends. result is the error of the loop.
func reconnecting(t *testing.T, cfg client.ReconnectConfig, steps []string, verify func(t *testing.T, s *stage, opened int, result error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, steps: steps, start: time.Now()}
		config := client.Config{}
		if cfg.Config != nil {
			config = *cfg.Config
		}
		if config.DialContext == nil {
			config.DialContext = client.DialFunc(s.dial)
		}
		cfg.Config = &config
		config.PingInterval = -1 // the scripts do not answer
		if cfg.MaxTries == 0 {
			cfg.MaxTries = 20 // a loop that should end before fails
		}
		retry := cfg.Retry
		cfg.Retry = func(err error, wait time.Duration) {
			s.errs, s.waits = append(s.errs, err), append(s.waits, wait)
			if retry != nil {
				retry(err, wait)
			}
		}
		opened, result := 0, error(nil)
		for c, err := range client.Reconnecting(t.Context(), "ws://server.example/", &cfg) {
			if err != nil {
				result = err
				continue
			}
			opened++
			for m, err := range c.Messages(t.Context()) {
				if err != nil || m.Text() == "leave the body" {
					break
				}
			}
		}
		synctest.Wait()
		verify(t, s, opened, result)
	})
}

const (
	// lasting is a connection that lasts a minute.
	lasting = "open\nsend text \"x\"\nwait 1m\nsend close 1001\nexpect close 1001"
	// short is a connection that ends at once, without a Close.
	short = "open"
	// denied ends a loop.
	denied = "request\nresponse 403 \"Content-Length: 0\""
)

// wantReconnectError checks the error that ends a loop.
func wantReconnectError(t *testing.T, err error, tries int, status int) {
	t.Helper()
	e := check.As[*client.ReconnectError](t, err, "the end of the loop")
	check.Equal(t, e.Tries, tries, "tries")
	if refused := (*client.HandshakeError)(nil); !errors.As(err, &refused) || refused.Response == nil || refused.Response.Status != status {
		t.Errorf("the loop ended with %v, want a refusal with status %d", err, status)
	}
}

// 6455-7.2.3-a: the waits are random, up to a bound that begins with Delay and
// doubles up to MaxDelay. Each try starts exactly after its wait.
func TestReconnectBacksOff(t *testing.T) {
	bounds := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second}
	longest := make([]time.Duration, len(bounds))
	sums := make(map[time.Duration]bool)
	for range 30 {
		reconnecting(t, client.ReconnectConfig{MaxTries: len(bounds) + 1}, []string{""}, func(t *testing.T, s *stage, opened int, err error) {
			if !errors.Is(err, errNoNetwork) || opened != 0 || len(s.waits) != len(bounds) || len(s.at) != len(bounds)+1 {
				t.Fatalf("%v after %d connections and %d tries", err, opened, len(s.at))
			}
			for i, wait := range s.waits {
				if wait <= 0 || wait > bounds[i] || s.at[i+1]-s.at[i] != wait {
					t.Errorf("wait %d is %v, bound %v; the try started after %v", i, wait, bounds[i], s.at[i+1]-s.at[i])
				}
				longest[i] = max(longest[i], wait)
			}
			sums[s.at[len(bounds)]] = true
		})
	}
	for i, wait := range longest { // of 30 waits, all in the lower half once in 2^30 runs
		if wait <= bounds[i]/2 {
			t.Errorf("the longest of 30 waits with the bound %v is %v", bounds[i], wait)
		}
	}
	if len(sums) < 20 {
		t.Errorf("30 loops have %d different schedules", len(sums))
	}
}

// A connection that lasted MaxDelay resets the bound. A shorter one counts as a
// failed try.
func TestReconnectResetsAfterConnectionThatLasted(t *testing.T) {
	cfg := client.ReconnectConfig{Delay: time.Second, MaxDelay: 50 * time.Second}
	reconnecting(t, cfg, []string{"", "", "", "", short, short, lasting, denied}, func(t *testing.T, s *stage, opened int, err error) {
		wantReconnectError(t, err, 1, 403)
		check.Equal(t, opened, 3, "connections")
		bounds := []time.Duration{1, 2, 4, 8, 16, 32, 1}
		check.Equal(t, len(s.waits), len(bounds), "waits")
		for i, bound := range bounds {
			if s.waits[i] > bound*time.Second {
				t.Errorf("wait %d is %v, bound %v s", i, s.waits[i], bound)
			}
		}
		lost := check.As[*client.LostError](t, s.errs[4], "the end of the fifth try")
		check.Is(t, lost.Err, io.EOF, "the end of the fifth try")
		if closed := check.As[*client.CloseError](t, s.errs[6], "the end of the last connection"); closed.Code != wire.GoingAway {
			t.Errorf("the last connection: %v", closed)
		}
	})
}

// The text tells failed tries and connections that ended early apart.
func TestReconnectErrorTellsShortConnectionsApart(t *testing.T) {
	const early = "connection lost without a closing handshake: EOF"
	stop := func(err error) bool { return errors.As(err, new(*client.CloseError)) }
	for _, tt := range []struct {
		cfg          client.ReconnectConfig
		steps        []string
		tries, short int
		want         string
	}{
		{client.ReconnectConfig{MaxTries: 2}, []string{""}, 2, 0, "not connected after 2 failed tries: dial server.example:80: no network"},
		{client.ReconnectConfig{MaxTries: 1}, []string{short}, 1, 1, "no lasting connection after 1 connection that was shorter than MaxDelay: " + early},
		{client.ReconnectConfig{MaxTries: 3}, []string{"", short}, 3, 2, "no lasting connection after 1 failed try and 2 connections that were shorter than MaxDelay: " + early},
		{client.ReconnectConfig{MaxTries: 3}, []string{short, ""}, 3, 1, "no lasting connection after 2 failed tries and 1 connection that was shorter than MaxDelay: dial server.example:80: no network"},
		{client.ReconnectConfig{Stop: stop}, []string{"", short, lasting}, 0, 0, "not connected: closed by the peer with 1001 (going away)"},
	} {
		reconnecting(t, tt.cfg, tt.steps, func(t *testing.T, _ *stage, _ int, err error) {
			if e := check.As[*client.ReconnectError](t, err, "the end of the loop"); e.Tries != tt.tries || e.Short != tt.short {
				t.Errorf("%d tries, %d short, want %d, %d", e.Tries, e.Short, tt.tries, tt.short)
			}
			check.Equal(t, err.Error(), "websocket: "+tt.want, "text")
		})
	}
}

// Retry-After of 429 and 503 is added to the wait: in seconds or as a date, by
// the server's clock, at most an hour. In other responses it is ignored.
func TestReconnectHonoursRetryAfter(t *testing.T) {
	const date = `"Date: Mon, 30 Nov 2026 12:00:00 GMT"`
	for name, tt := range map[string]struct {
		response string
		least    time.Duration
	}{
		"503, seconds":          {`503 "Retry-After: 120"`, 2 * time.Minute},
		"429, seconds":          {`429 "Retry-After: 7"`, 7 * time.Second},
		"a date":                {`503 "Retry-After: Mon, 30 Nov 2026 12:05:00 GMT" ` + date, 5 * time.Minute},
		"a date of RFC 850":     {`503 "Retry-After: Monday, 30-Nov-26 12:05:00 GMT" ` + date, 5 * time.Minute},
		"a date of asctime":     {`503 "Retry-After: Mon Nov 30 12:05:00 2026" ` + date, 5 * time.Minute},
		"a date by our clock":   {`503 "Retry-After: Sat, 01 Jan 2000 00:00:05 GMT"`, 5 * time.Second}, // where bubbles begin
		"a date in the past":    {`503 "Retry-After: Mon, 30 Nov 2026 11:00:00 GMT" ` + date, 0},
		"too long":              {`503 "Retry-After: 86400"`, time.Hour},
		"too long for a number": {`503 "Retry-After: 99999999999999999999"`, time.Hour},
		"a year":                {`503 "Retry-After: Tue, 30 Nov 2027 12:00:00 GMT" ` + date, time.Hour},
		"malformed":             {`503 "Retry-After: soon"`, 0},
		"negative":              {`503 "Retry-After: -5"`, 0},
		"none":                  {`503`, 0},
		"another status":        {`500 "Retry-After: 120"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			refusal := "request\nresponse " + tt.response + ` "Content-Length: 0"`
			reconnecting(t, client.ReconnectConfig{}, []string{refusal, denied}, func(t *testing.T, s *stage, _ int, err error) {
				wantReconnectError(t, err, 2, 403)
				if wait := s.at[1] - s.at[0]; wait <= tt.least || wait > tt.least+time.Second {
					t.Errorf("the wait is %v, want up to a second more than %v", wait, tt.least)
				}
			})
		})
	}
}

// After 1012 and 1013, many clients return, and a wait is random from 5 to 30
// seconds. MaxDelay bounds both.
func TestReconnectAfterRestart(t *testing.T) {
	for _, code := range []string{"1012", "1013"} {
		for _, tt := range []struct{ most, least, bound time.Duration }{
			{0, 5 * time.Second, 30 * time.Second},
			{10 * time.Second, 5 * time.Second, 10 * time.Second},
			{2 * time.Second, 2 * time.Second, 2 * time.Second},
		} {
			step := "open\nsend close " + code + "\nexpect close " + code
			reconnecting(t, client.ReconnectConfig{MaxDelay: tt.most}, []string{step, step, step, denied}, func(t *testing.T, s *stage, opened int, err error) {
				wantReconnectError(t, err, 4, 403)
				check.Equal(t, opened, 3, "connections")
				for _, wait := range s.waits {
					if wait < tt.least || wait > tt.bound {
						t.Errorf("after %s with MaxDelay %v the wait is %v, want %v to %v", code, tt.most, wait, tt.least, tt.bound)
					}
				}
			})
		}
	}
}

// A status that will not change ends the loop, another one does not.
func TestReconnectStopsAfterPermanentRefusal(t *testing.T) {
	for _, status := range []int{200, 301, 400, 401, 403, 404, 405, 407, 409, 410, 426, 451, 501, 505} {
		step := "request\nresponse " + strconv.Itoa(status) + ` "Content-Length: 0"`
		reconnecting(t, client.ReconnectConfig{}, []string{step, ""}, func(t *testing.T, s *stage, _ int, err error) {
			wantReconnectError(t, err, 1, status)
			check.Equal(t, len(s.at), 1, "tries")
		})
	}
	for _, status := range []int{408, 421, 425, 429, 500, 502, 503, 504, 520} {
		step := "request\nresponse " + strconv.Itoa(status) + ` "Content-Length: 0"`
		reconnecting(t, client.ReconnectConfig{}, []string{step, step, denied}, func(t *testing.T, s *stage, _ int, err error) {
			wantReconnectError(t, err, 3, 403)
			check.Equal(t, len(s.at), 3, "tries")
		})
	}
}

func TestReconnectStopsAfterOtherPermanentErrors(t *testing.T) {
	if _, err := dialAnswered(t, "SSH-2.0-OpenSSH\r\n", nil); !client.Permanent(err) {
		t.Errorf("a server that does not speak HTTP: %v", err)
	}
	if _, err := dialAnswered(t, "HTTP/1.1 101 Switching Protocols\r\n\r\n", nil); !client.Permanent(err) {
		t.Errorf("a 101 that is not valid: %v", err)
	}
	reconnecting(t, client.ReconnectConfig{Config: &client.Config{Header: map[string][]string{"X": {"a\nb"}}}}, []string{""}, func(t *testing.T, s *stage, _ int, err error) {
		if len(s.at) != 0 || !strings.HasPrefix(err.Error(), "websocket: not connected after 1 failed try: ") {
			t.Errorf("%d tries, %v", len(s.at), err)
		}
	})
	for range 2 { // the iterator is not used up
		for c, err := range client.Reconnecting(t.Context(), "ftp://server.example/", nil) {
			if c != nil || !client.Permanent(err) {
				t.Errorf("%v, %v", c, err)
			}
		}
	}
}

// Header is called for each try. A first 401 leads to one more try with a fresh
// token; without Header it ends the loop. An error of Header is a failed try.
func TestReconnectAsksForFreshToken(t *testing.T) {
	request := func(token string, status string) string {
		return `request / "Authorization: ` + token + `" "X: base" "X-Other: fresh"` + "\nresponse " + status + ` "Content-Length: 0"`
	}
	tokens, calls := []string{"one", "", "two", "three", "four"}, 0
	errNoToken := errors.New("no token")
	cfg := client.ReconnectConfig{
		Config: &client.Config{Header: map[string][]string{"authorization": {"stale"}, "X": {"base"}, "X-other": {"stale"}}},
		Header: func(context.Context) (map[string][]string, error) {
			token := tokens[calls]
			if calls++; token == "" {
				return nil, errNoToken
			}
			return map[string][]string{"Authorization": {token}, "X-Other": {"fresh"}}, nil
		},
	}
	steps := []string{request("one", "401"), `open / "Authorization: two"` + "\nwait 1m", request("three", "401"), request("four", "401")}
	reconnecting(t, cfg, steps, func(t *testing.T, s *stage, opened int, err error) {
		wantReconnectError(t, err, 2, 401)
		check.Equal(t, calls, 5, "calls of Header")
		check.Equal(t, opened, 1, "connections")
		check.Is(t, s.errs[1], errNoToken, "the second try")
	})
}

// Lost and Subscribe are called in this order, before the body gets the
// connection. An error of Subscribe closes the connection and is a failed try.
func TestReconnectSubscribes(t *testing.T) {
	var events []string
	errRefused := errors.New("refused")
	subscriptions := 0
	cfg := client.ReconnectConfig{
		Lost: func(o client.Outage) {
			code := wire.StatusCode(0)
			if closed := (*client.CloseError)(nil); errors.As(o.Err, &closed) {
				code = closed.Code
			}
			events = append(events, "lost "+strconv.Itoa(int(code))+" "+strconv.Itoa(o.Tries))
			if o.Duration <= 0 || o.Duration > time.Minute {
				t.Errorf("the outage lasted %v", o.Duration)
			}
		},
		Subscribe: func(ctx context.Context, c *client.Conn) error {
			subscriptions++
			events = append(events, "subscribe")
			if err := c.SendText("subscribe"); err != nil {
				return err
			}
			m, err := c.Receive(ctx)
			if err == nil && m.Text() != "ok" {
				err = errRefused
			}
			return err
		},
		Retry: func(err error, _ time.Duration) { events = append(events, "retry") },
	}
	const subscribed = "open\nexpect text \"subscribe\"\nsend text "
	steps := []string{
		subscribed + "\"ok\"\nwait 1m\nsend close 1001\nexpect close 1001",
		subscribed + "\"no\"\nexpect end",
		"",
		subscribed + "\"ok\"\nsend close 1000\nexpect close 1000",
		denied,
	}
	reconnecting(t, cfg, steps, func(t *testing.T, s *stage, opened int, err error) {
		wantReconnectError(t, err, 4, 403)
		check.Equal(t, opened, 2, "connections")
		check.Is(t, s.errs[1], errRefused, "the second try")
		want := []string{"subscribe", "retry", "lost 1001 0", "subscribe", "retry", "retry", "lost 1001 2", "subscribe", "retry"}
		check.Slices(t, events, want, "events")
	})
}

// A connection that is open when the body ends is cut, by break and panic too.
func TestReconnectCutsConnectionAfterTheBody(t *testing.T) {
	const left = "open\nsend text \"leave the body\"\nexpect end"
	reconnecting(t, client.ReconnectConfig{}, []string{left, left, denied}, func(t *testing.T, s *stage, opened int, err error) {
		check.Equal(t, opened, 2, "connections")
		check.Is(t, s.errs[0], client.ErrClosed, "the first connection")
	})
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, steps: []string{"open\nexpect end"}}
		cfg := &client.ReconnectConfig{Config: &client.Config{DialContext: client.DialFunc(s.dial)}}
		var c *client.Conn
		for conn := range client.Reconnecting(t.Context(), "ws://server.example/", cfg) {
			c = conn
			break
		}
		check.Is(t, c.Err(), client.ErrClosed, "after break")
		func() {
			defer func() { recover() }()
			for conn := range client.Reconnecting(t.Context(), "ws://server.example/", cfg) {
				c = conn
				panic("in the body")
			}
		}()
		check.Is(t, c.Err(), client.ErrClosed, "after a panic")
	})
}

// The end of the context ends a wait, a Dial and a Subscribe, and is the Cause.
func TestReconnectEndsWithContext(t *testing.T) {
	cause := errors.New("enough")
	for name, tt := range map[string]struct {
		steps []string
		last  error
	}{
		"wait":      {[]string{""}, errNoNetwork},
		"dial":      {[]string{"request\nexpect end"}, cause},
		"subscribe": {[]string{"open\nexpect end"}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				s := &stage{t: t, steps: tt.steps, start: time.Now()}
				start := time.Now()
				time.AfterFunc(10*time.Second, func() { cancel(cause) })
				cfg := &client.ReconnectConfig{
					Config: &client.Config{DialContext: client.DialFunc(s.dial), HandshakeTimeout: -1},
					Delay:  time.Hour, MaxDelay: time.Hour,
					Subscribe: func(ctx context.Context, c *client.Conn) error { return check.Err(c.Receive(ctx)) },
				}
				if name == "wait" {
					cfg.Retry = func(err error, wait time.Duration) { time.AfterFunc(wait/2, func() { cancel(cause) }) }
				}
				for c, err := range client.Reconnecting(ctx, "ws://server.example/", cfg) {
					e := check.As[*client.ReconnectError](t, err, "the end of the loop")
					if c != nil || e.Cause != cause || !errors.Is(e.Err, tt.last) || !errors.Is(err, cause) || !errors.Is(err, tt.last) || e.Tries != 1 {
						t.Errorf("%v, %v", c, err)
					}
					if want := "websocket: not connected after 1 failed try: enough: "; !strings.HasPrefix(err.Error(), want) {
						t.Errorf("%q, want %q…", err, want)
					}
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("the loop ended after %v", took)
				}
				synctest.Wait()
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for c, err := range client.Reconnecting(ctx, "ws://server.example/", nil) {
		if e := check.As[*client.ReconnectError](t, err, "an ended context"); c != nil || e.Err != nil || e.Cause != context.Canceled || e.Tries != 0 {
			t.Errorf("%v, %v", c, err)
		}
	}
}

// Stop replaces Permanent. It decides about ended connections too.
func TestReconnectStop(t *testing.T) {
	stop := func(err error) bool {
		var closed *client.CloseError
		return errors.As(err, &closed) && closed.Code == wire.NormalClosure
	}
	steps := []string{denied, lasting, "open\nsend close 1000\nexpect close 1000"}
	reconnecting(t, client.ReconnectConfig{Stop: stop, Delay: -1}, steps, func(t *testing.T, s *stage, opened int, err error) {
		check.Equal(t, opened, 2, "connections")
		closed := check.As[*client.CloseError](t, err, "the end of the loop")
		check.Equal(t, closed.Code, wire.NormalClosure, "its code")
		for _, wait := range s.waits {
			check.Equal(t, wait, 0, "a wait without Delay")
		}
	})
}
