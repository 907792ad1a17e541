package sockets

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// Set is a set of named connections. A goroutine for each of them reads its
// messages into a history: Receive and a handler take messages from it, and
// Messages shows it. A slow handler, or an application that does not receive,
// does not stop the reading. The history is bounded and drops its oldest
// messages.
//
// The zero value is ready and must not be copied. All methods may be called
// from any goroutine, also from a handler.
//
// A name is in use from Connect until Close. If a connection ends by itself,
// its name stays in use, and Receive returns the rest of its messages.
//
// If a name is not in use, the error is an *Error with ErrNotFound. If the
// connection has ended or Connect has not returned, it is an *Error with
// ErrNotOpen and the reason.
type Set struct {
	mu    sync.Mutex // guards the rest; locked before that of a socket
	named map[string]*socket
}

// Options configure a connection and its history.
type Options struct {
	// Header replaces Config.Header, if it is not nil.
	Header map[string][]string

	// Timeout bounds the dial. It replaces Config.HandshakeTimeout, if it is
	// not zero. The default is 10 seconds, negative means none.
	Timeout time.Duration

	// MaxHistory is the largest number of messages in the history. The default
	// is 100, negative means no limit.
	MaxHistory int

	// MaxHistoryBytes is the largest number of payload bytes in the history. A
	// larger message is kept alone, until the next one. The default is 1 MiB,
	// negative means no limit.
	MaxHistoryBytes int

	// DropReceived drops a message from the history when Receive or the handler
	// has taken it. By default the history keeps it.
	DropReceived bool

	// Config has everything else. With Config.Control, the history has control
	// frames too.
	Config *client.Config

	// Reconnect, if it is set, makes the name keep a connection: see
	// client.Reconnecting. Connect then returns when the first connection is
	// open. The history continues with the next connection, and Receive and the
	// handler wait for it; Send and Ping fail meanwhile with ErrNotOpen.
	// Messages in between are lost: Info.Reconnects counts such gaps, and
	// Reconnect.Lost reports them. Header, Timeout and Config replace
	// Reconnect.Config. Its functions run on a goroutine of the connection.
	Reconnect *client.ReconnectConfig
}

// Defaults of Options and Set.
const (
	DefaultMaxHistory      = 100              // messages
	DefaultMaxHistoryBytes = 1 << 20          // payload bytes
	DefaultMessages        = 50               // messages, of Messages
	DefaultTimeout         = 10 * time.Second // of Receive and Ping
)

// Info is the state of a connection at one moment.
type Info struct {
	Name      string
	URL       string // without user and password
	Connected bool   // the connection is open
	Err       error  // why the connection ended, nil while it is open

	// Reconnects is the number of connections that replaced another one.
	Reconnects uint64

	// Dropped is the number of messages that the history dropped before Receive
	// took them, even if Receive was never called. HandlerDropped is the number
	// of those that it dropped before the handler took them.
	Dropped        uint64
	HandlerDropped uint64
}

// Connect opens a connection, as client.Dial does, and names it. opts may be
// nil. ctx bounds the dial, and the closing of an older connection.
//
// If the name is in use, Connect first closes the older connection with 1000
// and drops its messages. Of several calls with the same name the last one
// wins; the others return an *Error.
//
// The error is ErrURLRequired for an empty URL, else that of client.Dial. Then
// the name is not in use; but after an error of the URL itself, an older
// connection stays open.
func (t *Set) Connect(ctx context.Context, name, url string, opts *Options) (Info, error) {
	if url == "" {
		return Info{}, ErrURLRequired
	}
	u, err := handshake.ParseURL(url)
	if err != nil {
		return Info{}, err
	}
	o := opts.withDefaults()
	dialing, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &socket{
		name:    name,
		url:     u.String(),
		once:    o.DropReceived,
		cancel:  cancel,
		history: newHistory(o.MaxHistory, o.MaxHistoryBytes),
	}
	all, cancelAll := s.again(ctx, o.Reconnect != nil)
	if older := t.put(s); older != nil {
		_ = older.close(dialing, wire.NormalClosure) // cut if it does not close
	}
	if all != nil {
		defer context.AfterFunc(ctx, func() { cancelAll(context.Cause(ctx)) })() // before the first connection
		return t.keep(all, s, url, o.Reconnect)
	}
	c, err := client.Dial(dialing, url, o.Config)
	if !t.dialed(s, c) {
		if c != nil {
			_ = closeConn(ctx, c, wire.NormalClosure)
		}
		err = s.notOpen(superseded{})
	}
	if err != nil {
		return Info{}, err
	}
	go s.read(c)
	return s.info(), nil
}

// again returns the context of all connections of a name that keeps one, and
// its cancel function. s.cancel cancels it. It is nil if on is false.
func (s *socket) again(ctx context.Context, on bool) (all context.Context, cancel context.CancelCauseFunc) {
	if !on {
		return nil, nil
	}
	all, cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	s.keeps, s.cancel = true, func() { cancel(context.Canceled) }
	return all, cancel
}

// keep starts to open connections of s, one after another, until all ends. It
// returns when the first one is open or failed.
func (t *Set) keep(all context.Context, s *socket, url string, cfg *client.ReconnectConfig) (Info, error) {
	first := make(chan error, 2) // of the first connection, and of the end
	go func() {
		first <- t.reconnect(all, s, url, cfg, first)
	}()
	if err := <-first; err != nil {
		if !t.dialed(s, nil) {
			err = s.notOpen(superseded{})
		}
		return Info{}, err
	}
	return s.info(), nil
}

// reconnect opens connections of s, one after another, and reads from them. It
// returns the reason why there is no further one. opened gets a nil error with
// the first.
func (t *Set) reconnect(all context.Context, s *socket, url string, cfg *client.ReconnectConfig, opened chan<- error) (err error) {
	defer func() { s.end(err) }()
	for c, err := range client.Reconnecting(all, url, cfg) {
		if err != nil {
			return err
		}
		if !t.dialed(s, c) {
			_ = closeConn(all, c, wire.NormalClosure)
			return superseded{}
		}
		if opened != nil {
			opened <- nil
			opened = nil
		}
		s.read(c)
	}
	return superseded{} // not reached: the loop ends with an error
}

// withDefaults returns a copy of o, which may be nil, without zeros and with a
// Config that contains Header and Timeout.
func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.MaxHistory == 0 {
		c.MaxHistory = DefaultMaxHistory
	}
	if c.MaxHistoryBytes == 0 {
		c.MaxHistoryBytes = DefaultMaxHistoryBytes
	}
	var cfg client.Config
	if c.Config != nil {
		cfg = *c.Config
	}
	if c.Header != nil {
		cfg.Header = c.Header
	}
	if c.Timeout != 0 {
		cfg.HandshakeTimeout = c.Timeout
	}
	c.Config = &cfg
	if c.Reconnect != nil {
		again := *c.Reconnect
		again.Config = &cfg
		c.Reconnect = &again
	}
	return c
}

// put gives the name of s to s, and returns the socket that had it.
func (t *Set) put(s *socket) (older *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.named == nil {
		t.named = make(map[string]*socket)
	}
	older = t.named[s.name]
	t.named[s.name] = s
	return older
}

// dialed sets the next connection of s, or frees its name if c is nil. It
// reports false if s has lost the name.
func (t *Set) dialed(s *socket, c *client.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.named[s.name] != s {
		return false
	}
	if c == nil {
		delete(t.named, s.name)
	} else {
		s.opened(c)
	}
	return true
}

func (t *Set) find(name string) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.named[name]; s != nil {
		return s, nil
	}
	return nil, &Error{Name: name, Err: ErrNotFound}
}

// open returns the connection called name if it is open.
func (t *Set) open(name string) (*socket, *client.Conn, error) {
	s, err := t.find(name)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.use()
	return s, c, err
}

// Send sends a message: a string as text, a []byte as binary, a
// json.RawMessage unchanged as text, and any other value as text, encoded by
// encoding/json. It does not keep v. A text must be valid UTF-8; otherwise the
// error is wire.ErrInvalidUTF8 and nothing is sent.
func (t *Set) Send(name string, v any) error {
	s, c, err := t.open(name)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		err = c.SendText(v)
	case []byte:
		err = c.SendBinary(v)
	case json.RawMessage:
		err = c.Send(wire.Text, v)
	default:
		err = c.SendJSON(v)
	}
	return s.failed(err)
}

// Receive returns the oldest message of the history that Receive has not
// returned before. The caller owns the payload. Receive waits for timeout if
// there is none: zero means 10 seconds, negative means no limit. Then the
// error is an *Error with a *client.TimeoutError, and the connection stays
// open. Of several calls, one gets the message.
//
// Receive skips messages that the history has dropped; Info.Dropped counts
// them.
func (t *Set) Receive(name string, timeout time.Duration) (client.Message, error) {
	s, err := t.find(name)
	if err != nil {
		return client.Message{}, err
	}
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	m, err := s.next(&s.received, timeout)
	return clone(m), err
}

// Messages returns copies of the newest messages of the history, the oldest of
// them first, received or not. It returns at most limit: zero means 50,
// negative means all.
func (t *Set) Messages(name string, limit int) ([]client.Message, error) {
	s, err := t.find(name)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = DefaultMessages
	}
	return s.messages(limit), nil
}

// OnMessage sets the handler of a connection. A goroutine of the connection
// calls it for one message after the other, from the oldest message of the
// history that Receive has not returned. Receive returns those messages too. A
// second call of OnMessage replaces the handler for the next message. A nil
// handler is ErrHandler; a handler cannot be removed.
//
// A slow handler misses the messages that the history drops meanwhile;
// Info.HandlerDropped counts them. After the end of the connection the handler
// is called for the rest of the history; after Close it is not called.
//
// A handler that panics ends the connection with 1011. Calls then return an
// *Error with a Cause that is a *client.FailError with a *client.PanicError.
func (t *Set) OnMessage(name string, handler func(client.Message)) error {
	if handler == nil {
		return ErrHandler
	}
	s, err := t.find(name)
	if err != nil {
		return err
	}
	return s.onMessage(handler)
}

// Ping sends a Ping and returns the time until its Pong arrived. After 10
// seconds without one, the error is an *Error with a *client.TimeoutError, and
// the connection stays open.
func (t *Set) Ping(name string) (time.Duration, error) {
	s, c, err := t.open(name)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
	defer cancel()
	rtt, err := c.Ping(ctx)
	if err != nil && err == ctx.Err() {
		return 0, s.timedOut("Pong", DefaultTimeout)
	}
	return rtt, s.failed(err)
}

// IsConnected reports whether the connection exists and is open.
func (t *Set) IsConnected(name string) bool {
	s, err := t.find(name)
	return err == nil && s.info().Connected
}

// Info returns the state of a connection.
func (t *Set) Info(name string) (Info, error) {
	s, err := t.find(name)
	if err != nil {
		return Info{}, err
	}
	return s.info(), nil
}

// Names returns the names in use, sorted.
func (t *Set) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.named))
}

// Close frees the name at once and closes the connection with 1000, within
// Config.CloseTimeout. Calls that wait for the connection return, its messages
// are dropped, and its handler is not called again; Close does not wait for a
// call of the handler. A Connect of that name that has not returned fails.
//
// Close returns nil if the connection had ended before. If the closing
// handshake fails, the connection is cut and the error is an *Error.
func (t *Set) Close(name string) error {
	t.mu.Lock()
	s := t.named[name]
	delete(t.named, name)
	t.mu.Unlock()
	if s == nil {
		return &Error{Name: name, Err: ErrNotFound}
	}
	return s.close(context.Background(), wire.NormalClosure)
}

// CloseAll closes all connections concurrently, like Close, with 1001. When
// ctx ends it cuts the connections that are left. The error joins those of the
// connections that did not close properly.
func (t *Set) CloseAll(ctx context.Context) error {
	t.mu.Lock()
	named := t.named
	t.named = nil
	t.mu.Unlock()
	results := make(chan error)
	for _, s := range named {
		go func() { results <- s.close(ctx, wire.GoingAway) }()
	}
	var errs []error
	for range named {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}
