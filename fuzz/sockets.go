package fuzz

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
	clientsockets "github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/wire"
)

// Sockets reads data as a program of calls of a sockets.Set on two names, with
// a server in memory that echoes. It compares history, Receive, counters and
// errors with a model of slices. At the end it closes all connections.
func Sockets(data []byte) int {
	p := &program{data[:min(len(data), 256)]}
	s := &sockets{model: make(map[string]*history)}
	for p.more() {
		s.step(p)
	}
	if err := s.real.CloseAll(context.Background()); err != nil {
		violated("CloseAll completes the closing handshakes", "%v", err)
	}
	if names := s.real.Names(); len(names) > 0 {
		violated("CloseAll releases all names", "%q", names)
	}
	s.serving.Wait()
	return worth(s.connected > 0)
}

// sockets is a clientsockets.Set and its model.
type sockets struct {
	real      clientsockets.Set
	serving   sync.WaitGroup
	model     map[string]*history
	connected int
}

// patience bounds calls that must succeed.
const patience = 10 * time.Second

// step makes the call that the next bytes of the program select.
func (s *sockets) step(p *program) {
	code := p.byte()
	name := []string{"a", "\x00ü"}[code>>4&1]
	h := s.model[name]
	var notFound, notOpen error
	switch {
	case h == nil:
		notFound, notOpen = clientsockets.ErrNotFound, clientsockets.ErrNotFound
	case !h.open:
		notOpen = clientsockets.ErrNotOpen
	}
	switch code & 7 {
	case 0, 1:
		s.connect(name, int(p.byte()%6)-1, int(p.byte()%16)-1)
	case 2, 3:
		text := strings.Repeat("x", int(p.byte()%16)) + strconv.Itoa(len(p.rest))
		err := s.real.Send(name, text)
		expect("Send", name, err, notOpen)
		if err == nil {
			h.add(text)
			s.settle(name, h)
		}
	case 4:
		s.receive(name, h, notOpen)
	case 5:
		limit := int(int8(p.byte()))
		list, err := s.real.Messages(name, limit)
		expect("Messages", name, err, notFound)
		if h != nil && !slices.Equal(texts(list), h.newest(limit)) {
			violated("Messages returns the newest messages, oldest first", "%q, %d: %q, want %q", name, limit, texts(list), h.newest(limit))
		}
	case 6:
		err := s.real.Send(name, endCommand)
		expect("Send", name, err, notOpen)
		if err == nil {
			h.open = false
			for h.next < h.end() {
				s.receive(name, h, nil)
			}
			s.receive(name, h, clientsockets.ErrNotOpen)
		}
	case 7:
		expect("Close", name, s.real.Close(name), notFound)
		delete(s.model, name)
	}
	s.check(name)
}

// expect compares an error with the model's.
func expect(call, name string, err, want error) {
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		violated("every call returns the documented error", "%s(%q): error %v, want %v", call, name, err, want)
	}
	var e *clientsockets.Error
	if errors.As(err, &e) && (e.Name != name || !strings.Contains(err.Error(), strconv.Quote(name))) {
		violated("an error names the connection", "%s(%q): %v", call, name, err)
	}
}

func (s *sockets) connect(name string, maxMessages, maxBytes int) {
	once := maxMessages < 0
	options := &clientsockets.Options{Config: &client.Config{DialContext: client.DialFunc(s.dial)}, MaxHistory: max(maxMessages, 0), MaxHistoryBytes: maxBytes, DropReceived: once}
	info, err := s.real.Connect(context.Background(), name, "ws://user:secret@example.com/", options)
	expect("Connect", name, err, nil)
	if info.Name != name || !info.Connected || info.URL != "ws://example.com/" || info.Err != nil {
		violated("Connect returns the state of the connection", "%+v", info)
	}
	h := &history{open: true, once: once, maxMessages: maxMessages, maxBytes: maxBytes}
	if h.maxMessages <= 0 {
		h.maxMessages = 100
	}
	if h.maxBytes == 0 {
		h.maxBytes = 1 << 20
	}
	s.model[name] = h
	s.connected++
}

// settle waits until the echo of the last message is in the history. The Pong,
// which follows the echo, shows that the client has read it.
func (s *sockets) settle(name string, h *history) {
	_, err := s.real.Ping(name)
	expect("Ping", name, err, nil)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Microsecond) {
		list, err := s.real.Messages(name, -1)
		expect("Messages", name, err, nil)
		info, err := s.real.Info(name)
		expect("Info", name, err, nil)
		if slices.Equal(texts(list), h.kept) && info.Dropped == uint64(h.dropped) {
			return
		}
		if time.Now().After(deadline) {
			violated("the history holds the newest messages and counts dropped ones", "%q: %q, %d dropped; want %q, %d", name, texts(list), info.Dropped, h.kept, h.dropped)
		}
	}
}

func texts(list []client.Message) (all []string) {
	for _, m := range list {
		all = append(all, m.Text())
	}
	return all
}

// receive receives the next message if there is one. Else the error is empty, or a
// timeout if that is nil.
func (s *sockets) receive(name string, h *history, empty error) {
	if h == nil || h.next == h.end() {
		_, err := s.real.Receive(name, time.Nanosecond)
		if empty == nil {
			empty = context.DeadlineExceeded
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				return
			}
		}
		if h != nil && !h.open {
			_, err = s.real.Receive(name, patience) // the connection may be ending
		}
		expect("Receive", name, err, empty)
		return
	}
	m, err := s.real.Receive(name, patience)
	if want := h.take(); err != nil || m.Text() != want {
		violated("Receive returns the oldest message not yet received", "%q: %q, %v; want %q", name, m.Text(), err, want)
	}
	clear(m.Payload) // it belongs to the caller
}

// check compares the state of a name.
func (s *sockets) check(name string) {
	h := s.model[name]
	open := h != nil && h.open
	if got := s.real.IsConnected(name); got != open {
		violated("IsConnected reports whether a connection is open", "%q: %v, want %v", name, got, open)
	}
	if got := slices.Contains(s.real.Names(), name); got != (h != nil) {
		violated("a name is in use from Connect to Close", "%q: %v", name, got)
	}
	if info, err := s.real.Info(name); h != nil && (err != nil || info.Connected != open || (info.Err == nil) != open || info.Dropped != uint64(h.dropped)) {
		violated("Info describes the connection", "%+v, %v; want open %v, dropped %d", info, err, open, h.dropped)
	}
}

// A history is the model of one name.
type history struct {
	open                  bool
	once                  bool // a received message leaves the history
	maxMessages, maxBytes int

	kept    []string
	first   int // the number of kept[0]
	next    int // the number of the next message for Receive
	dropped int // messages that no Receive has returned
}

func (h *history) end() int { return h.first + len(h.kept) }

func (h *history) add(text string) {
	h.kept = append(h.kept, text)
	for len(h.kept) > 1 && (len(h.kept) > h.maxMessages || h.maxBytes >= 0 && len(strings.Join(h.kept, "")) > h.maxBytes) {
		if h.next == h.first {
			h.next++
			h.dropped++
		}
		h.drop()
	}
}

func (h *history) drop() { h.first, h.kept = h.first+1, h.kept[1:] }

func (h *history) take() string {
	text := h.kept[h.next-h.first]
	h.next++
	if h.once {
		h.drop()
	}
	return text
}

func (h *history) newest(limit int) []string {
	if limit == 0 {
		limit = 50
	}
	if limit < 0 || limit > len(h.kept) {
		limit = len(h.kept)
	}
	return h.kept[len(h.kept)-limit:]
}

// endCommand is the message for which the server ends the transport.
const endCommand = "end"

// dial connects to a server in memory that echoes.
func (s *sockets) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	s.serving.Go(func() {
		defer theirs.Close()
		serveEcho(theirs)
	})
	return ours, nil
}

func serveEcho(nc net.Conn) {
	buf := make([]byte, 0, 4<<10)
	upgraded := false
	for {
		n, err := nc.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+n]
		if head, _, whole := bytes.Cut(buf, []byte("\r\n\r\n")); !upgraded && whole {
			_, key, _ := strings.Cut(string(head), "\r\nSec-WebSocket-Key: ")
			key, _, _ = strings.Cut(key, "\r\n")
			if _, err := nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\n")); err != nil {
				return
			}
			upgraded = true
			buf = buf[:0] // the client waits for the response
		}
		for upgraded {
			f, n, err := wire.DecodeFrame(buf)
			if n == 0 || err != nil || string(f.Payload) == endCommand {
				if n > 0 {
					return
				}
				break
			}
			if f.Opcode == wire.Ping {
				f.Opcode = wire.Pong
			}
			if _, err := nc.Write(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: f.Opcode}, f.Payload)); err != nil || f.Opcode == wire.Close {
				return
			}
			buf = append(buf[:0], buf[n:]...)
		}
	}
}
