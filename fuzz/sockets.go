package fuzz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/client"
	clientsockets "github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// Sockets takes data for a program of calls of clientsockets.Set: three names, on a
// network in memory whose servers send back what they get, close when told to,
// or vanish. What every call returns, messages, history, counters and errors, must
// be what a model says that has nothing but maps and slices. In the end all is
// closed, and no server waits for anything.
func Sockets(data []byte) int {
	p := &program{data[:min(len(data), 256)]}
	s := &sockets{model: make(map[string]*socketModel)}
	for p.more() {
		s.step(p)
	}
	s.finish()
	return worth(s.connected > 0)
}

// sockets is a clientsockets.Set beside its model.
type sockets struct {
	real      clientsockets.Set
	network   echoes
	model     map[string]*socketModel
	connected int
}

// within is how long a call may take that something should come of.
const within = 10 * time.Second

// unlimited is a history that no program fills.
const unlimited = 1 << 12

var socketNames = []string{"a", "b", "\x00ü"}

// step makes the call that the next bytes of the program say.
func (s *sockets) step(p *program) {
	code := p.byte()
	name := socketNames[int(code>>4)%len(socketNames)]
	switch code & 15 {
	case 0, 1:
		s.connect(name, p)
	case 2:
		s.cannotConnect(name, p.byte())
	case 3:
		s.send(name, string(p.bytes(int(p.byte()%16))))
	case 4:
		s.send(name, slices.Clone(p.bytes(int(p.byte()%16))))
	case 5:
		s.send(name, map[string]int{"n": p.uint16()})
	case 6:
		s.cannotSend(name)
	case 7, 8:
		s.receive(name)
	case 9:
		s.messages(name, int(int8(p.byte())))
	case 10:
		s.state(name)
	case 11:
		s.close(name)
	case 12:
		s.onMessage(name)
	case 13:
		s.ping(name)
	case 14:
		s.burst(name, int(p.byte()%8))
	case 15:
		s.end(name, p.byte())
	}
}

// expect holds an error against the one that the model wants: nil, or one that it
// is under errors.Is.
func expect(call, name string, err, want error) {
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		violated("every call returns what it says", "%s(%q): error %v, want %v", call, name, err, want)
	}
	var e *clientsockets.Error
	if errors.As(err, &e) && (e.Name != name || !strings.Contains(err.Error(), strconv.Quote(name)) || !strings.HasPrefix(err.Error(), "websocket: ")) {
		violated("an error says which connection it is about", "%s(%q): %v", call, name, err)
	}
}

// use returns the error of a call that needs a connection which is open.
func (s *sockets) use(name string) error {
	switch m := s.model[name]; {
	case m == nil:
		return clientsockets.ErrNotFound
	case !m.open:
		return clientsockets.ErrNotOpen
	}
	return nil
}

// find returns the error of a call that needs a name which is in use.
func (s *sockets) find(name string) error {
	if s.model[name] == nil {
		return clientsockets.ErrNotFound
	}
	return nil
}

func (s *sockets) connect(name string, p *program) {
	options := &clientsockets.Options{Config: &client.Config{DialContext: s.network.dial}}
	switch kind := p.byte() % 8; kind {
	case 0:
	case 1, 2:
		options.MaxHistory, options.MaxHistoryBytes = unlimited, -1
	case 3:
		options.DropReceived = true
	default:
		options.MaxHistory = int(kind) - 3
		options.MaxHistoryBytes = int(p.byte()) - 1
	}
	info, err := s.real.Connect(context.Background(), name, "ws://user:secret@example.com/"+strconv.Itoa(s.connected), options)
	expect("Connect", name, err, nil)
	s.model[name] = newSocketModel(options)
	if info.Name != name || !info.Connected || info.URL != "ws://example.com/"+strconv.Itoa(s.connected) || info.Err != nil {
		violated("Connect returns the connection's state", "%+v", info)
	}
	s.connected++
}

var errNoRoute = errors.New("no route")

// cannotConnect makes a Connect that fails, before or after an older connection of
// that name has been closed.
func (s *sockets) cannotConnect(name string, kind byte) {
	ctx := context.Background()
	switch kind % 3 {
	case 0:
		_, err := s.real.Connect(ctx, name, "", nil)
		expect("Connect", name, err, clientsockets.ErrURLRequired)
	case 1:
		_, err := s.real.Connect(ctx, name, "http:/example.com", nil)
		if bad := (*handshake.URLError)(nil); !errors.As(err, &bad) {
			violated("a URL that cannot be dialed is a *URLError", "%v", err)
		}
	default:
		dial := func(context.Context, string, string) (net.Conn, error) { return nil, errNoRoute }
		_, err := s.real.Connect(ctx, name, "ws://example.com/", &clientsockets.Options{Config: &client.Config{DialContext: dial}})
		expect("Connect", name, err, errNoRoute)
		delete(s.model, name)
	}
}

// send sends a value, which comes back.
func (s *sockets) send(name string, v any) {
	op, payload := wire.Text, ""
	want := s.use(name)
	switch v := v.(type) {
	case string:
		payload = v
		if strings.HasPrefix(v, cutCommand) || strings.HasPrefix(v, closeCommand) || strings.HasPrefix(v, burstCommand) {
			return
		}
		if want == nil && !utf8.ValidString(v) {
			want = wire.ErrInvalidUTF8
		}
	case []byte:
		op, payload = wire.Binary, string(v)
		if payload == cutCommand || strings.HasPrefix(payload, closeCommand) || strings.HasPrefix(payload, burstCommand) {
			return
		}
	default:
		b, _ := json.Marshal(v)
		payload = string(b)
	}
	expect("Send", name, s.real.Send(name, v), want)
	if want == nil {
		s.model[name].arrive(op, payload)
		s.settle(name)
	}
}

// settle returns when all that the server has sent so far is in the history. Its
// Pong, which comes behind it, shows that it is on this side; the connection's
// goroutine may still have to put it there. The handler is called for it.
func (s *sockets) settle(name string) {
	_, err := s.real.Ping(name)
	expect("Ping", name, err, nil)
	for deadline := time.Now().Add(within); s.differs(name) != nil; time.Sleep(20 * time.Microsecond) {
		if time.Now().After(deadline) {
			s.differs(name)()
		}
	}
	s.checkHandler(name)
}

// differs returns nil if the history is what the model says, else a function that
// says what it is instead.
func (s *sockets) differs(name string) func() {
	list, err := s.real.Messages(name, -1)
	expect("Messages", name, err, nil)
	info, err := s.real.Info(name)
	expect("Info", name, err, nil)
	m := s.model[name]
	got := texts(list)
	if slices.Equal(got, m.history) && info.Dropped == uint64(m.dropped) {
		return nil
	}
	return func() {
		violated("the history holds the newest messages, and counts what it drops", "%q: %q, %d dropped; want %q, %d", name, got, info.Dropped, m.history, m.dropped)
	}
}

// texts returns messages as the model keeps them.
func texts(list []client.Message) (t []string) {
	for _, m := range list {
		t = append(t, messageText(m.Opcode, m.Text()))
		clear(m.Payload) // it is ours
	}
	return t
}

func (s *sockets) checkHandler(name string) {
	m := s.model[name]
	if m.handler == nil {
		return
	}
	for _, want := range m.unhandled() {
		select {
		case got := <-m.handler:
			if got != want {
				violated("the handler is called for one message after the other", "%q: got %s, want %s", name, got, want)
			}
		case <-time.After(within):
			violated("the handler is called for each message", "%q: not for %s", name, want)
		}
	}
}

func (s *sockets) cannotSend(name string) {
	want := s.use(name)
	err := s.real.Send(name, func() {})
	if want != nil {
		expect("Send", name, err, want)
	} else if bad := (*json.UnsupportedTypeError)(nil); !errors.As(err, &bad) {
		violated("a value that JSON has no form for is not sent", "%q: %v", name, err)
	}
}

func (s *sockets) receive(name string) {
	m := s.model[name]
	if m == nil {
		_, err := s.real.Receive(name, -1)
		expect("Receive", name, err, clientsockets.ErrNotFound)
		return
	}
	want, ok := m.next()
	if ok || !m.open {
		s.receiveNow(name, want, ok)
		return
	}
	_, err := s.real.Receive(name, 1)
	var late *client.TimeoutError
	var named *clientsockets.Error
	if !errors.As(err, &late) || !late.Timeout() || !errors.As(err, &named) || named.Name != name {
		violated("a Receive in vain is a timeout", "%q: %v", name, err)
	}
}

// receiveNow receives a message that is there, or the end.
func (s *sockets) receiveNow(name string, want string, ok bool) {
	got, err := s.real.Receive(name, within)
	if !ok {
		expect("Receive", name, err, clientsockets.ErrNotOpen)
		return
	}
	if text := messageText(got.Opcode, got.Text()); err != nil || text != want {
		violated("Receive returns the oldest message that it has not returned", "%q: %s, %v; want %s", name, text, err, want)
	}
	for i := range got.Payload {
		got.Payload[i] ^= 0xff // it is ours
	}
}

func (s *sockets) messages(name string, limit int) {
	list, err := s.real.Messages(name, limit)
	expect("Messages", name, err, s.find(name))
	if err != nil {
		return
	}
	got := texts(list)
	if want := s.model[name].newest(limit); !slices.Equal(got, want) {
		violated("Messages returns the newest messages, the oldest of them first", "%q, %d: %q, want %q", name, limit, got, want)
	}
}

func (s *sockets) state(name string) {
	m := s.model[name]
	if got, want := s.real.IsConnected(name), m != nil && m.open; got != want {
		violated("IsConnected says whether a connection is open", "%q: %v, want %v", name, got, want)
	}
	if got, want := s.real.Names(), slices.Sorted(maps.Keys(s.model)); !slices.Equal(got, want) {
		violated("a name is in use from Connect to Close", "%q, want %q", got, want)
	}
	info, err := s.real.Info(name)
	expect("Info", name, err, s.find(name))
	if m == nil {
		return
	}
	if info.Name != name || info.Connected != m.open || (info.Err == nil) != m.open || info.Dropped != uint64(m.dropped) {
		violated("Info says how a connection is", "%+v; want open %v, dropped %d", info, m.open, m.dropped)
	}
}

func (s *sockets) close(name string) {
	expect("Close", name, s.real.Close(name), s.find(name))
	delete(s.model, name)
}

func (s *sockets) onMessage(name string) {
	expect("OnMessage", name, s.real.OnMessage(name, nil), clientsockets.ErrHandler)
	m := s.model[name]
	if m != nil && m.maxCount != unlimited {
		return // what a handler misses, or takes from Receive, is a matter of time
	}
	calls := make(chan string, unlimited)
	handler := func(msg client.Message) { calls <- messageText(msg.Opcode, msg.Text()) }
	err := s.real.OnMessage(name, handler)
	if m == nil {
		expect("OnMessage", name, err, clientsockets.ErrNotFound)
		return
	}
	if m.handler == nil {
		m.handled = max(m.handled, m.received)
	}
	if !m.open && m.handled == m.end() {
		expect("OnMessage", name, err, clientsockets.ErrNotOpen)
		return
	}
	expect("OnMessage", name, err, nil)
	m.handler = calls
	s.checkHandler(name)
}

func (s *sockets) ping(name string) {
	rtt, err := s.real.Ping(name)
	expect("Ping", name, err, s.use(name))
	if err == nil && (rtt < 0 || rtt > within) {
		violated("Ping returns the time that it took", "%v", rtt)
	}
}

// burst has the server send n messages.
func (s *sockets) burst(name string, n int) {
	want := s.use(name)
	expect("Send", name, s.real.Send(name, burstCommand+strconv.Itoa(n)), want)
	if want != nil {
		return
	}
	for i := range n {
		s.model[name].arrive(wire.Text, strconv.Itoa(i))
	}
	s.settle(name)
}

// end has the server close or cut the connection, and receives what is left.
func (s *sockets) end(name string, kind byte) {
	command, code := cutCommand, wire.AbnormalClosure
	if kind%2 != 0 {
		code = wire.StatusCode(4000 + int(kind))
		command = fmt.Sprintf("%s%d", closeCommand, int(code))
	}
	want := s.use(name)
	expect("Send", name, s.real.Send(name, command), want)
	if want != nil {
		return
	}
	m := s.model[name]
	for more := true; more; {
		var text string
		text, more = m.next()
		s.receiveNow(name, text, more)
	}
	m.open = false
	info, err := s.real.Info(name)
	expect("Info", name, err, nil)
	var closed *client.CloseError
	if code != wire.AbnormalClosure && (!errors.As(info.Err, &closed) || closed.Code != code) || !errors.Is(info.Err, net.ErrClosed) {
		violated("what ended a connection is remembered", "%q: %v, want code %d", name, info.Err, int(code))
	}
}

// finish closes all.
func (s *sockets) finish() {
	for name, m := range s.model {
		if m.open {
			s.settle(name)
		}
	}
	if err := s.real.CloseAll(context.Background()); err != nil {
		violated("a server that answers lets a connection close", "%v", err)
	}
	if names := s.real.Names(); len(names) > 0 {
		violated("CloseAll leaves no name in use", "%q", names)
	}
	s.network.serving.Wait()
}
