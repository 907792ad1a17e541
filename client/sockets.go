package client

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// Sockets keeps connections by name. Each of them is read all the time: what
// comes goes into a history, from which Receive takes it and a handler is
// called, and where Messages shows it. Neither a slow handler nor a program that
// does not receive keeps a connection from being read; the history is bounded,
// and drops its oldest messages.
//
// The zero value is ready, and must not be copied. All methods may be called at
// any time from any goroutine, a handler's included.
//
// A name is in use from Connect until Close. When a connection has ended by
// itself, what is left of its messages can still be received, and its name stays
// until Close or another Connect of the same name.
//
// # Errors
//
// A name that is not in use is a *SocketError with ErrSocketNotFound. A
// connection that has ended, or is still being made, is a *SocketError with
// ErrSocketNotOpen, and why it ended.
type Sockets struct {
	mu    sync.Mutex // guards the rest; taken before that of a namedSocket
	named map[string]*namedSocket
}

// SocketOptions say how to make a connection and how much of it to keep.
type SocketOptions struct {
	// Header, if it is not nil, takes the place of Config.Header.
	Header map[string][]string

	// Timeout bounds the dial; if it is not zero, it takes the place of
	// Config.HandshakeTimeout. The default is 10 seconds, negative means none.
	Timeout time.Duration

	// MaxHistory is how many messages are kept. The default is 100. If it is
	// negative, none is kept: a message is gone when Receive or the handler, one
	// of them, has taken it, and up to 100 wait for that.
	MaxHistory int

	// MaxHistoryBytes is how many payload bytes are kept. A message that is
	// larger is kept alone, until the next one comes. The default is 1 MiB,
	// negative means no limit.
	MaxHistoryBytes int

	// Config is for everything else. With Config.Control, control messages come
	// like the others.
	Config *Config
}

// Defaults of Sockets.
const (
	DefaultMaxHistory      = 100              // messages
	DefaultMaxHistoryBytes = 1 << 20          // payload bytes
	DefaultMessages        = 50               // messages that Messages returns
	DefaultSocketTimeout   = 10 * time.Second // of Receive and Ping
)

// SocketInfo is the state of a connection at one moment.
type SocketInfo struct {
	Name      string
	URL       string // without user and password
	Connected bool   // it is open
	Err       error  // why it ended, nil as long as it has not

	// Dropped counts the messages that were dropped from the history before
	// Receive took them, also if it was never called. HandlerDropped counts
	// those that were dropped before the handler got to them.
	Dropped        uint64
	HandlerDropped uint64
}

// Connect opens a connection, as Dial does, and gives it a name. opts may be
// nil. ctx bounds the dial only, and the closing of an older connection.
//
// If the name is in use, the connection that has it is closed first, with status
// 1000, and what has not been received of it is dropped. Of several calls with
// one name, the last counts: the others give up, with a *SocketError.
//
// The error is ErrURLRequired for an empty URL; otherwise it is that of Dial,
// and the name is not in use. A URL that cannot be dialed leaves an older
// connection as it is.
func (t *Sockets) Connect(ctx context.Context, name, url string, opts *SocketOptions) (SocketInfo, error) {
	if url == "" {
		return SocketInfo{}, ErrURLRequired
	}
	u, err := handshake.ParseURL(url)
	if err != nil {
		return SocketInfo{}, err
	}
	o := opts.withDefaults()
	dialing, giveUp := context.WithCancel(ctx)
	defer giveUp()
	s := &namedSocket{
		name:    name,
		url:     u.String(),
		once:    o.MaxHistory < 0,
		giveUp:  giveUp,
		history: newHistory(o.MaxHistory, o.MaxHistoryBytes),
	}
	if s.once {
		s.history.maxCount = DefaultMaxHistory
	}
	if older := t.put(s); older != nil {
		_ = older.close(dialing, wire.NormalClosure) // it is cut if it does not close
	}
	c, err := Dial(dialing, url, o.Config)
	if !t.dialed(s, c) {
		if c != nil {
			_ = c.Close(ctx, wire.NormalClosure, "")
		}
		err = s.notOpen(givenUp{})
	}
	if err != nil {
		return SocketInfo{}, err
	}
	return s.info(), nil
}

// withDefaults returns a copy of o, which may be nil, in which only MaxHistory
// may be negative and Config is a copy that has it all.
func (o *SocketOptions) withDefaults() SocketOptions {
	var c SocketOptions
	if o != nil {
		c = *o
	}
	if c.MaxHistory == 0 {
		c.MaxHistory = DefaultMaxHistory
	}
	if c.MaxHistoryBytes == 0 {
		c.MaxHistoryBytes = DefaultMaxHistoryBytes
	}
	var cfg Config
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
	return c
}

// put gives the name of s to s, and returns who had it.
func (t *Sockets) put(s *namedSocket) (older *namedSocket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.named == nil {
		t.named = make(map[string]*namedSocket)
	}
	older = t.named[s.name]
	t.named[s.name] = s
	return older
}

// dialed gives s its connection, or takes its name away if c is nil. It reports
// false if s had lost the name before: then there is no use for c.
func (t *Sockets) dialed(s *namedSocket, c *Conn) bool {
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

func (t *Sockets) find(name string) (*namedSocket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.named[name]; s != nil {
		return s, nil
	}
	return nil, &SocketError{Name: name, Err: ErrSocketNotFound}
}

// open returns the connection called name if it is open.
func (t *Sockets) open(name string) (*namedSocket, *Conn, error) {
	s, err := t.find(name)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.use()
	return s, c, err
}

// Send sends a message: a string as text, a []byte as binary, a json.RawMessage
// as text, as it is, and everything else as text, encoded by encoding/json. v is
// not kept. A text must be UTF-8: otherwise nothing is sent and the error is
// wire.ErrInvalidUTF8.
func (t *Sockets) Send(name string, v any) error {
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

// Receive returns the oldest message in the history that it has not returned
// before; the payload is the program's own. If there is none, it waits until one
// comes, for timeout: 10 seconds if that is zero, forever if it is negative. If
// none comes, the error is a *SocketTimeoutError, and the connection stays as it
// is. Each message goes to one call, if there are several.
//
// Messages that were dropped from the history are skipped, and counted in
// SocketInfo.Dropped.
func (t *Sockets) Receive(name string, timeout time.Duration) (Message, error) {
	s, err := t.find(name)
	if err != nil {
		return Message{}, err
	}
	if timeout == 0 {
		timeout = DefaultSocketTimeout
	}
	m, err := s.next(&s.received, timeout)
	return clone(m), err
}

// Messages returns copies of the newest messages in the history, the oldest of
// them first, whether they have been received or not: limit of them at most, 50
// if limit is zero, all if it is negative.
func (t *Sockets) Messages(name string, limit int) ([]Message, error) {
	s, err := t.find(name)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = DefaultMessages
	}
	return s.messages(limit), nil
}

// OnMessage has handler called for each message, one after the other, in a
// goroutine of their own. It takes the place of a former handler, which may
// still be in its last call. The first one begins with the oldest message in the
// history that Receive has not returned; a message that is handled can still be
// received. The error for a nil handler is ErrHandler; a handler cannot be taken
// away, only replaced.
//
// A handler that is slower than the messages come misses those that the history
// drops meanwhile; they are counted in SocketInfo.HandlerDropped. After the end
// of the connection the handler is called for what is left; after Close it is
// not.
//
// A panic in a handler ends the connection, with status 1011. The program goes
// on, and the calls for that connection return a *SocketError, whose Cause is a
// *FailError with a *PanicError.
func (t *Sockets) OnMessage(name string, handler func(Message)) error {
	if handler == nil {
		return ErrHandler
	}
	s, err := t.find(name)
	if err != nil {
		return err
	}
	return s.onMessage(handler)
}

// Ping sends a Ping and returns the time until its Pong came. If none comes
// within 10 seconds, the error is a *SocketTimeoutError, and the connection stays
// as it is.
func (t *Sockets) Ping(name string) (time.Duration, error) {
	s, c, err := t.open(name)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), DefaultSocketTimeout)
	defer cancel()
	rtt, err := c.Ping(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, &SocketTimeoutError{Name: name, Missing: "Pong", After: DefaultSocketTimeout}
	}
	return rtt, s.failed(err)
}

// IsConnected reports whether there is a connection of that name and it is open.
func (t *Sockets) IsConnected(name string) bool {
	s, err := t.find(name)
	return err == nil && s.info().Connected
}

// Info returns the state of a connection.
func (t *Sockets) Info(name string) (SocketInfo, error) {
	s, err := t.find(name)
	if err != nil {
		return SocketInfo{}, err
	}
	return s.info(), nil
}

// Names returns the names in use, sorted.
func (t *Sockets) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.named))
}

// Close closes a connection properly, with status 1000, within
// Config.CloseTimeout, and makes its name free at once. Calls that wait for it
// return, what has not been received is dropped, the handler is called no more;
// a call of it that is under way is not waited for. A Connect of that name that
// is under way gives up.
//
// It returns nil if the connection had ended before. If the closing handshake
// fails, the connection is cut, and the error, a *SocketError, says why.
func (t *Sockets) Close(name string) error {
	t.mu.Lock()
	s := t.named[name]
	delete(t.named, name)
	t.mu.Unlock()
	if s == nil {
		return &SocketError{Name: name, Err: ErrSocketNotFound}
	}
	return s.close(context.Background(), wire.NormalClosure)
}

// CloseAll closes all connections like Close, with status 1001, and at once. At
// the end of ctx those that are still there are cut. The error is that of each
// connection that did not close properly, joined.
func (t *Sockets) CloseAll(ctx context.Context) error {
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
