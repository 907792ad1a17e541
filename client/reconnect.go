package client

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// ReconnectConfig configures Reconnecting. The zero value and a nil pointer
// have all defaults. Its functions run on the goroutine of the loop, one at a
// time; each may be nil.
type ReconnectConfig struct {
	// Config is the configuration of each connection.
	Config *Config

	// Header returns header fields for the next try, such as a fresh token.
	// They replace the fields of Config.Header of the same name. An error is a
	// failed try.
	Header func(ctx context.Context) (map[string][]string, error)

	// Subscribe prepares each new connection, including the first, before the
	// loop receives it: it sends the subscriptions and may receive the replies. An
	// error closes the connection and is a failed try.
	Subscribe func(ctx context.Context, c *Conn) error

	// Lost is called with each new connection but the first, before Subscribe.
	// Messages that the server sent meanwhile are lost, and so may be messages
	// of this side that were not answered: WebSocket acknowledges nothing.
	// State that was built from messages must be requested again.
	Lost func(o Outage)

	// Retry is called before each wait: with the error of the failed try or
	// ended connection, and the time until the next try.
	Retry func(err error, wait time.Duration)

	// Stop reports whether no further try makes sense after err, the error of
	// a failed try or ended connection. The default is Permanent, with one
	// exception: if Header is set, a first status 401 is followed by one more
	// try, with a fresh token.
	Stop func(err error) bool

	// Delay bounds the wait before the first retry, which is random from zero
	// to Delay. Each further failed try doubles the bound, up to MaxDelay. The
	// default is 1 second, negative means no wait.
	Delay time.Duration

	// MaxDelay bounds the waits, except those that a Retry-After field demands.
	// The default is 30 seconds. A connection that lasted MaxDelay resets the
	// waits; a shorter one counts as a failed try.
	MaxDelay time.Duration

	// MaxTries is the number of failed tries in succession after which the loop
	// ends. Zero or negative means no limit.
	MaxTries int
}

// Defaults of ReconnectConfig.
const (
	DefaultReconnectDelay    = time.Second
	DefaultReconnectMaxDelay = 30 * time.Second
)

// Outage describes the time between two connections.
type Outage struct {
	Err      error         // why the earlier connection ended: see Conn
	Duration time.Duration // from its end to the new connection
	Tries    int           // failed tries in between
}

// ReconnectError is the error that ends a loop over Reconnecting.
type ReconnectError struct {
	// Tries is the number of failed tries in succession. A connection that was
	// shorter than MaxDelay is one.
	Tries int

	// Short is the number of connections that were shorter than MaxDelay, of
	// Tries: the server accepted them.
	Short int

	// Err is the error of the last failed try or ended connection, nil if there
	// was none.
	Err error

	// Cause is the cause of the context's end. It is nil if Err is permanent or
	// MaxTries is reached.
	Cause error
}

// Error returns a text with the numbers of failed tries and of short
// connections, and the errors.
func (e *ReconnectError) Error() string {
	text := "websocket: not connected"
	if e.Short > 0 {
		text = "websocket: no lasting connection"
	}
	word := " after "
	for _, part := range [...]struct {
		n         int
		one, many string
	}{
		{e.Tries - e.Short, " failed try", " failed tries"},
		{e.Short, " connection that was shorter than MaxDelay", " connections that were shorter than MaxDelay"},
	} {
		if part.n == 0 {
			continue
		}
		noun := part.many
		if part.n == 1 {
			noun = part.one
		}
		text += word + strconv.Itoa(part.n) + noun
		word = " and "
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.Err != nil {
		text += ": " + withoutPrefix(e.Err)
	}
	return text
}

// Unwrap returns Cause and Err, as far as they are set.
func (e *ReconnectError) Unwrap() (errs []error) {
	for _, err := range []error{e.Cause, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Reconnecting returns an iterator over connections to url, one after another:
// when the body of the loop ends, the connection is closed and another one is
// opened. It is a loop, and not a Conn that heals, so that a program sees where
// messages may be lost.
//
//	for c, err := range client.Reconnecting(ctx, url, cfg) {
//		if err != nil {
//			return err
//		}
//		for m, err := range c.Messages(ctx) {
//			if err != nil {
//				break // the connection has ended: see c.Err
//			}
//			handle(m)
//		}
//	}
//
// The connection belongs to the body until that ends, by break or return too;
// then CloseNow is called. For a closing handshake, call Close before. Every
// end of a connection leads to another one, also a Close with 1000: leave the
// loop if that is the end of the work.
//
// The last pair of the loop is a nil *Conn with a *ReconnectError: ctx has
// ended, or a try failed such that another one makes no sense, see Permanent,
// or MaxTries failed. ctx ends every wait, Dial and Subscribe.
//
// Waits are random, up to a bound that doubles (RFC 6455, Section 7.2.3); see
// Delay and MaxDelay. After a refusal with 429 or 503 and a Retry-After field,
// that time, at most an hour, is added. After a Close with 1012 (service
// restart) or 1013 (try again later) the wait is random from 5 to 30 seconds,
// both at most MaxDelay.
//
// The iterator can be used again, also by several goroutines. Each use is a
// loop of its own.
func Reconnecting(ctx context.Context, url string, cfg *ReconnectConfig) iter.Seq2[*Conn, error] {
	return func(yield func(*Conn, error) bool) {
		r := newReconnector(ctx, url, cfg)
		for {
			c, err := r.connect()
			if err != nil {
				yield(nil, err)
				return
			}
			if !r.use(c, yield) {
				return
			}
		}
	}
}

// reconnector is the state of a loop over Reconnecting.
type reconnector struct {
	ctx context.Context
	url string
	cfg ReconnectConfig // with defaults

	tries    int   // failed tries in succession
	short    int   // of tries: connections that were shorter than MaxDelay
	err      error // of the last failed try or ended connection
	denied   bool  // err is a refusal with 401
	replaced bool  // a connection has ended
	outage   Outage
	ended    time.Time // of the last connection
}

func newReconnector(ctx context.Context, url string, cfg *ReconnectConfig) *reconnector {
	r := &reconnector{ctx: ctx, url: url}
	if cfg != nil {
		r.cfg = *cfg
	}
	setDefault(&r.cfg.Delay, DefaultReconnectDelay)
	if r.cfg.MaxDelay <= 0 {
		r.cfg.MaxDelay = DefaultReconnectMaxDelay
	}
	if r.cfg.Stop == nil {
		r.cfg.Stop = r.stop
	}
	return r
}

// connect returns the next connection, or the error that ends the loop.
func (r *reconnector) connect() (*Conn, error) {
	for {
		if r.ctx.Err() != nil {
			return nil, r.end(context.Cause(r.ctx))
		}
		if r.err != nil {
			if r.cfg.Stop(r.err) || r.cfg.MaxTries > 0 && r.tries >= r.cfg.MaxTries {
				return nil, r.end(nil)
			}
			if err := r.wait(); err != nil {
				return nil, r.end(err)
			}
		}
		c, err := r.try()
		if err == nil {
			return c, nil
		}
		r.err = err
		r.tries++
		r.outage.Tries++
	}
}

// end returns the error that ends the loop.
func (r *reconnector) end(cause error) error {
	return &ReconnectError{Tries: r.tries, Short: r.short, Err: r.err, Cause: cause}
}

// try opens a connection.
func (r *reconnector) try() (*Conn, error) {
	cfg := r.cfg.Config
	if r.cfg.Header != nil {
		fields, err := r.cfg.Header(r.ctx)
		if err != nil {
			return nil, err
		}
		cfg = cfg.withFields(fields)
	}
	c, err := Dial(r.ctx, r.url, cfg)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened {
			c.CloseNow()
		}
	}()
	if r.replaced && r.cfg.Lost != nil {
		r.outage.Duration = time.Since(r.ended)
		r.cfg.Lost(r.outage)
	}
	if r.cfg.Subscribe != nil {
		if err := r.cfg.Subscribe(r.ctx, c); err != nil {
			return nil, err
		}
	}
	opened = true
	return c, nil
}

// use runs the body of the loop with a connection, and reports whether the loop
// continues.
func (r *reconnector) use(c *Conn, yield func(*Conn, error) bool) bool {
	defer c.CloseNow() // after a panic, too
	start := time.Now()
	r.err, r.denied = nil, false
	if !yield(c, nil) {
		return false
	}
	c.CloseNow() // it is ErrClosed if the connection was open
	r.ended = time.Now()
	r.err = c.Err()
	r.outage = Outage{Err: r.err}
	r.replaced = true
	if r.ended.Sub(start) >= r.cfg.MaxDelay {
		r.tries, r.short = 0, 0
	} else {
		r.tries++
		r.short++
	}
	return true
}

// wait waits until the time of the next try.
func (r *reconnector) wait() error {
	wait := r.nextWait()
	if r.cfg.Retry != nil {
		r.cfg.Retry(r.err, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// The wait after a Close with 1012 or 1013.
const (
	minRestartWait = 5 * time.Second
	maxRestartWait = 30 * time.Second
)

// nextWait returns the time until the next try.
func (r *reconnector) nextWait() time.Duration {
	var closed *CloseError
	if errors.As(r.err, &closed) && (closed.Code == wire.ServiceRestart || closed.Code == wire.TryAgainLater) {
		least := min(minRestartWait, r.cfg.MaxDelay)
		return least + randomUpTo(min(maxRestartWait, r.cfg.MaxDelay)-least)
	}
	limit := min(r.cfg.Delay, r.cfg.MaxDelay)
	for i := 1; i < r.tries && 0 < limit && limit < r.cfg.MaxDelay; i++ {
		limit = min(2*limit, r.cfg.MaxDelay)
	}
	wait := randomUpTo(limit)
	if refused := refusalOf(r.err); refused != nil {
		wait += retryAfter(refused)
	}
	return wait
}

// randomUpTo returns a random time up to limit, 0 if that is negative.
func randomUpTo(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return rand.N(limit) + 1
}

// refusalOf returns the response of a server that refused the connection, nil
// if err is another error.
func refusalOf(err error) *handshake.Response {
	var e *HandshakeError
	if errors.As(err, &e) {
		return e.Response
	}
	return nil
}

// maxRetryAfter bounds the time that a Retry-After field demands.
const maxRetryAfter = time.Hour

// retryAfter returns the time that the Retry-After field of a refusal with 429
// or 503 demands (RFC 9110, Section 10.2.3; RFC 6585, Section 4).
func retryAfter(r *handshake.Response) time.Duration {
	if r.Status != 429 && r.Status != 503 {
		return 0
	}
	value := r.Header.Get("Retry-After")
	if digits := strings.Trim(value, "0123456789") == ""; value != "" && digits {
		const most = int(maxRetryAfter / time.Second)
		seconds, ok := parseSize(value, 10)
		if !ok {
			return maxRetryAfter
		}
		return time.Duration(min(seconds, most)) * time.Second
	}
	at, ok := parseHTTPDate(value)
	if !ok {
		return 0
	}
	now, ok := parseHTTPDate(r.Header.Get("Date")) // the server's clock may differ from ours
	if !ok {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// parseHTTPDate parses a date of HTTP in each of its formats (RFC 9110, Section
// 5.6.7).
func parseHTTPDate(s string) (time.Time, bool) {
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// stop is the default of ReconnectConfig.Stop.
func (r *reconnector) stop(err error) bool {
	if response := refusalOf(err); r.cfg.Header != nil && response != nil && response.Status == 401 && !r.denied {
		r.denied = true // the next try has a fresh token
		return false
	}
	return Permanent(err)
}

// Permanent reports whether err of Dial makes another try with the same
// configuration pointless:
//
//   - a URL or header field that is not valid, or a panic of a callback;
//   - a refusal of the server, or of the proxy, with a status that will not
//     change: all but 408, 421, 425, 429, and 5xx other than 501 and 505;
//   - a redirect that is not followed, and a proxy that does not accept its user
//     or forbids the connection;
//   - a response that is not HTTP, or a 101 that is not valid;
//   - a certificate that is not trusted, or a server that does not speak TLS;
//   - a *BrowserError other than that of a failed connection.
//
// Errors of the network, timeouts, and the ends of connections are not
// permanent.
func Permanent(err error) bool {
	if refused := (*HandshakeError)(nil); errors.As(err, &refused) {
		return refused.Response == nil || isPermanent(refused.Response.Status)
	}
	if proxy := (*ProxyError)(nil); errors.As(err, &proxy) && proxy.Response != nil {
		return isPermanent(proxy.Response.Status)
	}
	if socks := (*SOCKSError)(nil); errors.As(err, &socks) {
		return socks.isPermanent()
	}
	var (
		badURL      *handshake.URLError
		badField    *handshake.FieldError
		badRedirect *RedirectError
		panicked    *PanicError
	)
	return errors.Is(err, errZoneThroughProxy) || errors.Is(err, errProxyFromHeader) ||
		errors.As(err, &badRedirect) || errors.As(err, &badURL) || errors.As(err, &badField) || errors.As(err, &panicked) ||
		isPermanentTLS(err) || isPermanentBrowser(err)
}

// isPermanent reports whether a refusal with this status is permanent.
func isPermanent(status int) bool {
	switch status {
	case 408, 421, 425, 429:
		return false
	case 501, 505:
		return true
	}
	return status < 500
}

// withFields returns a copy of cfg, which may be nil, with fields in place of
// the header fields of the same name.
func (cfg *Config) withFields(fields map[string][]string) *Config {
	c := new(Config)
	if cfg != nil {
		*c = *cfg
	}
	merged := make(map[string][]string, len(c.Header)+len(fields))
	for name, values := range c.Header {
		merged[name] = values
	}
	for name, values := range fields {
		for other := range merged {
			if isNamed(other, name) {
				delete(merged, other)
			}
		}
		merged[name] = values
	}
	c.Header = merged
	return c
}
