package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wire/deflate"
)

// tail ends each message of a flate.Writer after Flush (RFC 7692, Section 7.2.1).
const tail = "\x00\x00\xff\xff"

// ours compresses with package wire/deflate.
func ours(bits int, takeover bool) contender {
	return contender{"fibersock", func() (codec, error) {
		c := newOurs(bits, takeover)
		var out []byte
		return func(p []byte) (int, error) {
			var ok bool
			out, ok = c.AppendMessage(out[:0], p)
			if !ok {
				return len(p), nil
			}
			return len(out), nil
		}, nil
	}}
}

func newOurs(bits int, takeover bool) *deflate.Compressor {
	return deflate.NewCompressor(deflate.CompressorOptions{WindowBits: bits, Takeover: takeover})
}

// standard compresses with compress/flate at its fastest level, each message
// with the same writer: no takeover.
func standard() contender {
	return contender{"compress/flate 1", func() (codec, error) {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		return func(p []byte) (int, error) {
			out.Reset()
			w.Reset(&out)
			if _, err := w.Write(p); err != nil {
				return 0, err
			}
			if err := w.Flush(); err != nil {
				return 0, err
			}
			return out.Len() - len(tail), nil
		}, nil
	}}
}

// sink is the transport of a peer's connection: it counts the bytes of the
// frames, and is read after the test only.
type sink struct {
	written int
	closed  chan struct{}
	once    sync.Once
}

func newSink() *sink { return &sink{closed: make(chan struct{})} }

func (s *sink) Write(p []byte) (int, error)      { s.written += len(p); return len(p), nil }
func (s *sink) Read([]byte) (int, error)         { <-s.closed; return 0, io.EOF }
func (s *sink) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *sink) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *sink) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *sink) SetDeadline(time.Time) error      { return nil }
func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// Header and Hijack make a sink the http.ResponseWriter of an upgrade.
type upgrade struct {
	*sink
	header http.Header
}

func (u upgrade) Header() http.Header { return u.header }
func (u upgrade) WriteHeader(int)     {}
func (u upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return u.sink, bufio.NewReadWriter(bufio.NewReader(u.sink), bufio.NewWriter(u.sink)), nil
}

// request is an opening handshake that offers the extension with parameters.
func request(extension string) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://example.com/", nil)
	if err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions": extension,
	} {
		r.Header.Set(name, value)
	}
	return r
}

// payloadOf returns the payload size of a frame without a mask.
func payloadOf(frame int) int {
	for _, n := range []int{frame - 10, frame - 4, frame - 2} {
		h := wire.Header{Fin: true, Opcode: wire.Binary, Length: int64(n)}
		if n >= 0 && len(wire.AppendHeader(nil, h))+n == frame {
			return n
		}
	}
	return 0
}

// frames returns a codec that counts the payload bytes of the frames that send
// writes into s.
func frames(s *sink, send func(p []byte) error) codec {
	s.written = 0
	return func(p []byte) (int, error) {
		before := s.written
		err := send(p)
		return payloadOf(s.written - before), err
	}
}

// gwsServer is a connection of lxzan/gws.
func gwsServer(bits int, takeover bool) contender {
	upgrader := gws.NewUpgrader(gws.BuiltinEventHandler{}, &gws.ServerOption{PermessageDeflate: gws.PermessageDeflate{
		Enabled: true, ServerContextTakeover: takeover, ClientContextTakeover: takeover,
		ServerMaxWindowBits: bits, ClientMaxWindowBits: bits, Threshold: 1,
	}})
	return contender{"lxzan/gws", func() (codec, error) {
		s := newSink()
		c, err := upgrader.UpgradeFromConn(s, bufio.NewReader(s), request("permessage-deflate; client_max_window_bits"))
		if err != nil {
			return nil, err
		}
		return frames(s, func(p []byte) error { return c.WriteMessage(gws.OpcodeBinary, p) }), nil
	}}
}

// coderServer is a connection of coder/websocket.
func coderServer(takeover bool) contender {
	mode := websocket.CompressionNoContextTakeover
	if takeover {
		mode = websocket.CompressionContextTakeover
	}
	return contender{"coder/websocket", func() (codec, error) {
		s := newSink()
		c, err := websocket.Accept(upgrade{s, http.Header{}}, request("permessage-deflate"),
			&websocket.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1})
		if err != nil {
			return nil, err
		}
		return frames(s, func(p []byte) error { return c.Write(context.Background(), websocket.MessageBinary, p) }), nil
	}}
}

// gorillaServer is a connection of gorilla/websocket, which has no takeover.
func gorillaServer() contender {
	upgrader := gorilla.Upgrader{EnableCompression: true}
	return contender{"gorilla/websocket", func() (codec, error) {
		s := newSink()
		c, err := upgrader.Upgrade(upgrade{s, http.Header{}}, request("permessage-deflate"), nil)
		if err != nil {
			return nil, err
		}
		return frames(s, func(p []byte) error { return c.WriteMessage(gorilla.BinaryMessage, p) }), nil
	}}
}

// oursInflating inflates with package wire/deflate; frames has the compressed
// messages.
func oursInflating(bits int, takeover bool) contender {
	return contender{"fibersock", func() (codec, error) {
		d := deflate.NewDecompressor(deflate.DecompressorOptions{WindowBits: bits, Takeover: takeover})
		var out []byte
		return func(p []byte) (int, error) {
			var err error
			out, _, err = d.Append(out[:0], p, true, 1<<20)
			return len(out), err
		}, nil
	}}
}

// standardInflating inflates with compress/flate, with one reader that is reset
// for each message; with takeover the dictionary is the end of the text so far.
func standardInflating(bits int, takeover bool) contender {
	return contender{"compress/flate", func() (codec, error) {
		var in bytes.Reader
		var end bytes.Reader
		var out, window []byte
		r := flate.NewReader(&in)
		buffer := bytes.NewBuffer(nil)
		return func(p []byte) (int, error) {
			in.Reset(p)
			end.Reset([]byte(tail + "\x01\x00\x00\xff\xff"))
			if err := r.(flate.Resetter).Reset(io.MultiReader(&in, &end), window); err != nil {
				return 0, err
			}
			buffer.Reset()
			if _, err := buffer.ReadFrom(r); err != nil {
				return 0, err
			}
			out = buffer.Bytes()
			if takeover {
				window = append(window, out...)
				if most := 1 << bits; len(window) > most {
					window = window[:copy(window, window[len(window)-most:])]
				}
			}
			return len(out), nil
		}, nil
	}}
}
