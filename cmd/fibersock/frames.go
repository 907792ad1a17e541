package main

import (
	"bufio"
	"bytes"
	"container/list"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/fibersock/fibersock/wire"
)

const (
	maxTaps      = 32   // connections whose frames are kept, the latest ones
	maxTapFrames = 4096 // frames kept of each direction
)

// frameLog keeps the headers of the frames of the page's connections to this
// server. A page sees messages only. It chooses a random name for each
// connection, adds ?frames=NAME to its URL and asks for the frames of a message
// by that name. Payloads are not kept.
//
// Its methods may be called from any goroutine.
type frameLog struct {
	mu    sync.Mutex
	taps  map[string]*list.Element
	order list.List // of *tap, the newest first
}

// tapName matches names of 128 random bits.
var tapName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// tap returns a handler that records the frames of the connections of next that
// have a name.
func (l *frameLog) tap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("frames"); tapName.MatchString(name) {
			w = &tapWriter{w, l.add(name)}
		}
		next.ServeHTTP(w, r)
	})
}

func (l *frameLog) add(name string) *tap {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taps == nil {
		l.taps = make(map[string]*list.Element)
	}
	t := &tap{name: name}
	t.sent.response = true
	if old, ok := l.taps[name]; ok {
		l.order.Remove(old)
	}
	l.taps[name] = l.order.PushFront(t)
	for l.order.Len() > maxTaps {
		oldest := l.order.Back()
		delete(l.taps, l.order.Remove(oldest).(*tap).name)
	}
	return t
}

func (l *frameLog) find(name string) *tap {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.taps[name]; e != nil {
		return e.Value.(*tap)
	}
	return nil
}

// frameInfo is the header of a frame without the masking key.
type frameInfo struct {
	Opcode  int   `json:"opcode"`
	Fin     bool  `json:"fin"`
	RSV1    bool  `json:"rsv1"`
	Masked  bool  `json:"masked"`
	Header  int   `json:"header"`  // bytes
	Payload int64 `json:"payload"` // bytes, as sent
	message int   // number of its message in its direction, from 1
}

// serve answers with the frames of one message: frames is the name of the
// connection, and sent or received the number of the message from the server's
// view.
func (l *frameLog) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	t := l.find(q.Get("frames"))
	if t == nil {
		http.Error(w, "the server has no frames of this connection", http.StatusNotFound)
		return
	}
	d, number := &t.sent, q.Get("sent")
	if number == "" {
		d, number = &t.received, q.Get("received")
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		http.Error(w, "sent or received must be the number of a message", http.StatusBadRequest)
		return
	}
	frames := d.find(n)
	if len(frames) == 0 {
		http.Error(w, "the server no longer has the frames of this message", http.StatusNotFound)
		return
	}
	sendJSON(w, frames)
}

// tap has the frames of one connection.
type tap struct {
	name           string
	sent, received direction
}

// direction parses the bytes of one direction of a connection.
type direction struct {
	mu       sync.Mutex
	response bool        // the HTTP response is not complete
	broken   bool        // the bytes are no frames
	head     []byte      // an incomplete header, or the end of an incomplete response
	payload  int64       // bytes of the current payload that are missing
	message  int         // number of the current message
	frames   []frameInfo // the latest ones, the oldest at next if there are maxTapFrames
	next     int
}

// add parses further bytes.
func (d *direction) add(p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.response {
		p = d.skipResponse(p)
	}
	for len(p) > 0 && !d.broken {
		if d.payload > 0 {
			n := min(d.payload, int64(len(p)))
			d.payload -= n
			p = p[n:]
			continue
		}
		before := len(d.head)
		d.head = append(d.head, p[:min(len(p), wire.MaxHeaderSize-before)]...)
		h, n, err := wire.ParseHeader(d.head)
		switch {
		case err != nil:
			d.broken = true
		case n == 0:
			return // p was shorter than the rest of the header
		default:
			p = p[n-before:]
			d.head = d.head[:0]
			d.payload = h.Length
			d.record(h, n)
		}
	}
}

// skipResponse returns the bytes after the HTTP response.
func (d *direction) skipResponse(p []byte) []byte {
	const end = "\r\n\r\n"
	d.head = append(d.head, p...)
	if _, rest, ok := bytes.Cut(d.head, []byte(end)); ok {
		p = p[len(p)-len(rest):]
		d.head, d.response = nil, false
		return p
	}
	d.head = append(d.head[:0], d.head[max(0, len(d.head)-len(end)+1):]...)
	return nil
}

// record adds a data frame.
func (d *direction) record(h wire.Header, size int) {
	switch h.Opcode {
	case wire.Text, wire.Binary:
		d.message++
	case wire.Continuation:
	default:
		return // a control frame, which may be between the frames of a message
	}
	f := frameInfo{
		Opcode: int(h.Opcode), Fin: h.Fin, RSV1: h.RSV&wire.RSV1 != 0, Masked: h.Masked,
		Header: size, Payload: h.Length, message: d.message,
	}
	if len(d.frames) < maxTapFrames {
		d.frames = append(d.frames, f)
		return
	}
	d.frames[d.next] = f
	d.next = (d.next + 1) % maxTapFrames
}

// find returns the frames of a message, none if its first one is not kept.
func (d *direction) find(message int) []frameInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []frameInfo
	for i := range d.frames {
		if f := d.frames[(d.next+i)%len(d.frames)]; f.message == message {
			found = append(found, f)
		}
	}
	if len(found) > 0 && found[0].Opcode == int(wire.Continuation) {
		return nil
	}
	return found
}

// tapWriter is a ResponseWriter whose connection is recorded.
type tapWriter struct {
	http.ResponseWriter
	tap *tap
}

func (w *tapWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *tapWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	buffered, _ := buf.Reader.Peek(buf.Reader.Buffered()) // without reading from nc
	w.tap.received.add(buffered)
	return &tapConn{Conn: nc, tap: w.tap}, buf, nil
}

// tapConn records the bytes of a connection. One goroutine at a time writes, as
// the server does.
type tapConn struct {
	net.Conn
	tap   *tap
	ahead int // bytes that are recorded and not written
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tap.received.add(p[:n])
	return n, err
}

// Write records the bytes first, so the frames are known when the client has
// the message. After a short write the rest is written again.
func (c *tapConn) Write(p []byte) (int, error) {
	if len(p) > c.ahead {
		c.tap.sent.add(p[c.ahead:])
	}
	n, err := c.Conn.Write(p)
	c.ahead = max(c.ahead, len(p)) - n
	return n, err
}
