package load

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/wire"
)

const broken = 5 // the number of the message that a broken server answers wrongly

// silenceTime is the time in which no input may arrive where none is expected.
// Where input is expected, the default allows for a slow machine.
const silenceTime = 300 * time.Millisecond

func timeoutFor(want string) time.Duration {
	if strings.Contains(want, "nothing for") {
		return silenceTime
	}
	return defaultTimeout
}

// on returns a server that answers message number broken with do, and all
// others correctly.
func on(do func(c *serverConn, m message) bool) *server {
	return &server{reply: func(c *serverConn, m message) bool {
		if m.n == broken {
			return do(c, m)
		}
		c.frame(m.first, m.payload)
		return true
	}}
}

// sends is a wrong reply made of frames alone.
func sends(do func(c *serverConn, m message)) func(*serverConn, message) bool {
	return func(c *serverConn, m message) bool {
		do(c, m)
		return true
	}
}

// ends is the end of TCP after do. The server reads on, because otherwise the
// operating system would reset the connection.
func ends(do func(c *serverConn, m message)) func(*serverConn, message) bool {
	return func(c *serverConn, m message) bool {
		do(c, m)
		c.Conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		return false
	}
}

// silence follows do until the client ends TCP.
func silence(do func(c *serverConn, m message)) func(*serverConn, message) bool {
	return func(c *serverConn, m message) bool {
		do(c, m)
		io.Copy(io.Discard, c)
		return false
	}
}

func changed(p []byte, at int) []byte {
	p[at] ^= 0x20
	return p
}

// raw sends bytes as they are.
func (c *serverConn) raw(first byte, rest ...byte) { c.Write(append([]byte{first}, rest...)) }

func TestWrongReplyEndsTheRun(t *testing.T) {
	const size = 40
	tests := []struct {
		name string
		do   func(*serverConn, message) bool
		want string // in the error
	}{
		{"wrong opcode", sends(func(c *serverConn, m message) { c.frame(finBit|OpText, m.payload) }),
			"expected a binary message of 40 bytes; got a text frame of 40 bytes"},
		{"reserved opcode", sends(func(c *serverConn, m message) { c.frame(finBit|0x3, m.payload) }), "got the header 83: websocket: reserved opcode"},
		{"too short", sends(func(c *serverConn, m message) { c.frame(m.first, m.payload[1:]) }), "got a frame of 39 bytes, FIN true"},
		{"too long", sends(func(c *serverConn, m message) { c.frame(m.first, append(m.payload, 0)) }), "got a frame of 41 bytes"},
		{"too long by much", sends(func(c *serverConn, m message) { c.raw(m.first, 127, 0x80, 0, 0, 0, 0, 0, 0, 0) }), "got the header 82 7f 80: websocket: "},
		{"too long in fragments", sends(func(c *serverConn, m message) {
			c.frame(OpBinary, m.payload)
			c.frame(finBit, []byte{0})
		}), "got a frame of 1 bytes, FIN true after fragments of 40 bytes"},
		{"too short in fragments", sends(func(c *serverConn, m message) {
			c.frame(OpBinary, m.payload[:10])
			c.frame(finBit, m.payload[:10])
		}), "got a frame of 10 bytes, FIN true after fragments of 10 bytes"},
		{"changed first byte", sends(func(c *serverConn, m message) { c.frame(m.first, changed(m.payload, 0)) }), "expected byte 0 of"},
		{"changed byte", sends(func(c *serverConn, m message) { c.frame(m.first, changed(m.payload, 17)) }), "expected byte 17 of a binary message of 40 bytes to be 0x77; got 0x57"},
		{"changed last byte in a fragment", sends(func(c *serverConn, m message) {
			c.frame(OpBinary, m.payload[:39])
			c.frame(finBit, changed(m.payload, 39)[39:])
		}), "expected byte 39 of"},
		{"masked", sends(func(c *serverConn, m message) {
			c.Write(appendMasked(nil, headerOf(m.first, size), m.payload, [4]byte{1, 2, 3, 4}))
		}),
			"got a masked binary frame of 40 bytes"},
		{"RSV1", sends(func(c *serverConn, m message) {
			c.Write(append(appendHeader(nil, m.first|rsv1Bit, size), m.payload...))
		}), "got RSV bits 100 in a binary frame"},
		{"RSV3", sends(func(c *serverConn, m message) { c.frame(m.first|0x10, m.payload) }), "got RSV bits 001"},
		{"length not minimal", sends(func(c *serverConn, m message) { c.Write(append([]byte{m.first, 126, 0, size}, m.payload...)) }), "got the header 82 7e 00 28: websocket: "},
		{"length not minimal, 64 bits", sends(func(c *serverConn, m message) { c.raw(m.first, 127, 0, 0, 0, 0, 0, 0, 0, size) }), "got the header 82 7f 00 00 00 00 00 00"},
		{"missing", sends(func(*serverConn, message) {}), "MISSING"},
		{"doubled", sends(func(c *serverConn, m message) {
			c.frame(m.first, m.payload)
			c.frame(m.first, m.payload)
		}), "DOUBLED"},
		{"doubled in one segment", sends(func(c *serverConn, m message) {
			frame := append(appendHeader(nil, m.first, size), m.payload...)
			c.Write(append(frame, frame...))
		}), "DOUBLED"},
		{"Ping", sends(func(c *serverConn, m message) { c.frame(finBit|opPing, nil) }), "got a ping frame of 0 bytes"},
		{"Pong", sends(func(c *serverConn, m message) { c.frame(finBit|opPong, []byte("x")) }), "got a pong frame of 1 bytes"},
		{"Continuation first", sends(func(c *serverConn, m message) { c.frame(finBit, m.payload) }), "got a continuation frame of 40 bytes"},
		{"message within a message", sends(func(c *serverConn, m message) {
			c.frame(OpBinary, m.payload[:5])
			c.frame(OpBinary, m.payload[:5])
		}), "expected a continuation frame; got a binary frame of 5 bytes after fragments of 5 bytes"},
		{"Close", sends(func(c *serverConn, m message) { c.frame(finBit|opClose, []byte("\x03\xeano")) }), `got Close 1002 "no"`},
		{"Close without code", sends(func(c *serverConn, m message) { c.frame(finBit|opClose, nil) }), "got Close without status code"},
		{"Close of one byte", sends(func(c *serverConn, m message) { c.frame(finBit|opClose, []byte{1}) }), "Section 5.5 has it; got 1 byte"},
		{"Close too long", sends(func(c *serverConn, m message) { c.frame(finBit|opClose, make([]byte, 126)) }), "got the header 88 7e: websocket: "},
		{"end of TCP instead", ends(func(*serverConn, message) {}), "got the end of TCP"},
		{"end of TCP in the header", ends(func(c *serverConn, m message) { c.raw(m.first) }), "got the end of TCP after 1 bytes of a frame's header"},
		{"end of TCP in the payload", ends(func(c *serverConn, m message) { c.raw(m.first, size, '5', 7) }),
			"got the end of TCP after 2 of the 40 payload bytes of a frame"},
		{"end of TCP between fragments", ends(func(c *serverConn, m message) { c.frame(OpBinary, m.payload[:3]) }),
			"got the end of TCP after 3 payload bytes of a message whose last frame has not come"},
		{"reset", func(c *serverConn, m message) bool { c.Conn.(*net.TCPConn).SetLinger(0); return false }, "connection reset by peer"},
		{"half, then silence", silence(func(c *serverConn, m message) { c.raw(m.first, append([]byte{size}, m.payload[:20]...)...) }),
			"got nothing for 300ms after 20 of the 40 payload bytes of a frame"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, inFlight := range []int{1, 4} {
				shells(t, func(t *testing.T, goroutines bool) {
					want := test.want
					switch want {
					case "DOUBLED":
						want = "as in the reply before it: doubled"
					case "MISSING":
						want = "as in the reply after it: one is missing"
						if inFlight == 1 {
							want = "got nothing for 300ms"
						}
					}
					_, err := Echo(t.Context(), Config{
						Addr: on(test.do).serve(t, nil), InFlight: inFlight, Payload: pattern(size),
						Duration: 2 * time.Second, VerifyEvery: 1, Timeout: timeoutFor(want), goroutines: goroutines,
					})
					checkFault(t, err, want)
				})
			}
		})
	}
}

// checkFault expects a Fault with want, or with InFlight 1 that the reply after
// the wrong one is unexpected.
func checkFault(t *testing.T, err error, want string) {
	t.Helper()
	var fault *Fault
	if !errors.As(err, &fault) {
		t.Fatalf("error %v", err)
	}
	unasked := strings.Contains(want, "doubled") && strings.Contains(err.Error(), "a reply that no message asked for")
	if !unasked && !strings.Contains(err.Error(), want) {
		t.Fatalf("error %q, not %q", err, want)
	}
	if fault.Conn != 0 || fault.Replies < broken || fault.Replies > broken+1 {
		t.Fatalf("connection %d after %d replies", fault.Conn, fault.Replies)
	}
}

func TestWrongReplyIsSeenOnAnyConnection(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		s := new(server)
		s.reply = func(c *serverConn, m message) bool {
			if s.messages.Load() >= 500 && m.n > 3 {
				m.payload = m.payload[1:]
			}
			c.frame(m.first, m.payload)
			return true
		}
		_, err := Echo(t.Context(), Config{
			Addr: s.serve(t, nil), Conns: 50, Payload: pattern(200), Duration: time.Minute, goroutines: goroutines,
		})
		if err == nil || !strings.Contains(err.Error(), "got a frame of 199 bytes") {
			t.Fatal(err)
		}
	})
}

// Payload that is not compared is dropped in the kernel, but its length is
// checked.
func TestWrongReplyAmongLongOnes(t *testing.T) {
	const size = 100_000
	tests := []struct {
		name string
		do   func(*serverConn, message) bool
		want string
	}{
		{"too short", sends(func(c *serverConn, m message) { c.frame(m.first, m.payload[:size-1]) }), "got a frame of 99999 bytes"},
		{"doubled", sends(func(c *serverConn, m message) { c.frame(m.first, m.payload); c.frame(m.first, m.payload) }), "doubled"},
		{"end of TCP", func(c *serverConn, m message) bool {
			c.Write(append(appendHeader(nil, m.first, size), m.payload[:size-1]...))
			return false
		}, "got the end of TCP after 99999 of the 100000 payload bytes of a frame"},
		{"silence", silence(func(c *serverConn, m message) {
			c.Write(append(appendHeader(nil, m.first, size), m.payload[:size-1]...))
		}), "got nothing for 300ms after 99999 of the 100000"},
		{"one byte too many", silence(func(c *serverConn, m message) {
			c.Write(append(append(appendHeader(nil, m.first, size), m.payload...), 0x82))
		}), "got nothing for 300ms after 1 bytes of a frame's header"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				_, err := Echo(t.Context(), Config{
					Addr: on(test.do).serve(t, nil), Payload: pattern(size),
					Duration: 2 * time.Second, Timeout: timeoutFor(test.want), goroutines: goroutines,
				})
				checkFault(t, err, test.want)
			})
		})
	}
}

func TestWrongCompressedReply(t *testing.T) {
	tests := []struct {
		name string
		do   func(*serverConn, message) bool
		want string
	}{
		{"changed byte", sends(func(c *serverConn, m message) { c.frame(m.first, changed(m.payload, 17)) }), "expected byte 17 of"},
		{"too short", sends(func(c *serverConn, m message) { c.frame(m.first, m.payload[1:]) }), "got 39 bytes or more after inflating"},
		{"too long", sends(func(c *serverConn, m message) { c.frame(m.first, append(m.payload, m.payload...)) }), "got 41 bytes or more after inflating"},
		{"not DEFLATE", sends(func(c *serverConn, m message) { c.raw(m.first, 2, 0xFF, 0xFF) }), "flate: corrupt input"},
		{"RSV1 in a continuation", sends(func(c *serverConn, m message) {
			c.frame(OpBinary|rsv1Bit, m.payload)
			c.frame(finBit|rsv1Bit, nil)
		}), "got RSV bits 100 in a continuation frame"},
		{"longer than any compression", sends(func(c *serverConn, m message) { c.raw(m.first, 126, 0xFF, 0xFF) }), "got a frame of 65535 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Echo(t.Context(), Config{
				Addr: on(test.do).serve(t, nil), Payload: pattern(40), Deflate: true, VerifyEvery: 1, Duration: 2 * time.Second,
			})
			checkFault(t, err, test.want)
		})
	}
}

func TestWrongReplyWithContextTakeover(t *testing.T) {
	tests := []struct {
		name string
		do   func(*serverConn, message) bool
		want string
	}{
		{"changed byte", sends(func(c *serverConn, m message) { c.frame(m.first, changed(m.payload, 17)) }), "expected byte 17 of"},
		{"not compressed", sends(func(c *serverConn, m message) { c.frame(m.first&^rsv1Bit, m.payload) }), "that is not compressed"},
		{"refers to a message that was not sent", sends(func(c *serverConn, m message) {
			c.deflater.Message(m.payload)
			c.frame(m.first, m.payload)
		}), "expected byte 5 of"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Echo(t.Context(), Config{
				Addr: on(test.do).serve(t, nil), Payloads: texts(5, 400), Opcode: wire.Text, Takeover: true, VerifyEvery: 1, Duration: 2 * time.Second,
			})
			checkFault(t, err, test.want)
		})
	}
}

func TestWrongClosingHandshake(t *testing.T) {
	tests := []struct {
		name    string
		onClose func(c *serverConn, payload []byte) bool
		want    string
	}{
		{"one more reply", func(c *serverConn, p []byte) bool { c.frame(finBit|OpBinary, pattern(8)); return false },
			"expected Close in answer to Close; got a binary frame of 8 bytes: a reply that no message asked for"},
		{"frame after Close", func(c *serverConn, p []byte) bool {
			c.frame(finBit|opClose, p)
			c.frame(finBit|opClose, p)
			return false
		}, "expected the end of TCP after Close; got"},
		{"nothing", func(*serverConn, []byte) bool { return true }, "expected Close in answer to Close; got nothing for 300ms"},
		{"no end of TCP", func(c *serverConn, p []byte) bool { c.frame(finBit|opClose, p); return true },
			"expected the end of TCP after Close (RFC 6455, Section 7.1.1); got nothing for 300ms"},
		{"half a Close", func(c *serverConn, p []byte) bool { c.raw(finBit|opClose, 2, 3); return false },
			"expected Close in answer to Close; got the end of TCP after 1 of the 2 payload bytes of a frame"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				s := &server{onClose: test.onClose}
				_, err := Echo(t.Context(), Config{
					Addr: s.serve(t, nil), Payload: pattern(8), Duration: time.Millisecond, Timeout: timeoutFor(test.want), goroutines: goroutines,
				})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestWrongOpeningHandshake(t *testing.T) {
	replaced := func(old, new string) func(*http.Request) string {
		return func(r *http.Request) string { return strings.Replace(rightResponse(r), old, new, 1) }
	}
	tests := []struct {
		name   string
		accept func(*http.Request) string
		want   string
	}{
		{"status", func(*http.Request) string { return "HTTP/1.1 403 Forbidden\r\n\r\n" }, `expected a response of status 101 in answer to the opening handshake; got "HTTP/1.1 403 Forbidden"`},
		{"Upgrade", replaced("WebSocket", "h2c"), `expected Upgrade: websocket in answer to the opening handshake; got "h2c"`},
		{"no Upgrade", replaced("upgrade: WebSocket\r\n", ""), `expected Upgrade: websocket in answer to the opening handshake; got ""`},
		{"Connection", replaced("Connection: upgrade", "Connection: close"), `expected Connection: Upgrade`},
		{"Sec-WebSocket-Accept", replaced("Accept: ", "Accept: x"), `expected Sec-WebSocket-Accept: `},
		{"extension", replaced("Connection", "Sec-WebSocket-Extensions: permessage-deflate\r\nConnection"), "expected no extension"},
		{"nothing", func(*http.Request) string { return "" }, "expected a response to the opening handshake; got nothing for 300ms"},
		{"half a response", func(r *http.Request) string { return rightResponse(r)[:40] }, "got nothing for 300ms after 40 bytes of the response"},
		{"without end", func(*http.Request) string { return strings.Repeat("x", maxResponse+1) }, "bytes without its end"},
		{"frame at once", func(r *http.Request) string { return rightResponse(r) + "\x82\x01x" }, "expected nothing, as no reply is due; got a binary frame of 1 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				s := &server{accept: test.accept}
				_, err := Echo(t.Context(), Config{Addr: s.serve(t, nil), Timeout: timeoutFor(test.want), goroutines: goroutines})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestCompressionMustBeAgreedAsOffered(t *testing.T) {
	for _, old := range []string{"permessage-deflate; ", "server_no_context_takeover; "} {
		s := &server{accept: func(r *http.Request) string { return strings.Replace(rightResponse(r), old, "", 1) }}
		_, err := Echo(t.Context(), Config{Addr: s.serve(t, nil), Deflate: true, Duration: time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "expected permessage-deflate with server_no_context_takeover, as offered") {
			t.Errorf("without %q: %v", old, err)
		}
	}
}

func TestContextTakeoverMustBeAgreedAsOffered(t *testing.T) {
	const want = "expected permessage-deflate with context takeover in both directions, as offered"
	for answer, want := range map[string]string{
		"":                                want,
		"; server_no_context_takeover":    want,
		"; client_no_context_takeover":    want,
		"; client_max_window_bits=12, x":  want,
		"; =":                             want,
		"; client_max_window_bits=8":      "expected a client_max_window_bits that allows distances of 400 bytes",
		"; client_max_window_bits=16":     "expected a client_max_window_bits that allows distances of 400 bytes",
		"; client_max_window_bits":        "expected a client_max_window_bits that allows distances of 400 bytes",
		"; client_max_window_bits=9":      "",
		"; server_max_window_bits=9":      "",
		"; client_max_window_bits=\"12\"": "",
	} {
		s := &server{accept: func(r *http.Request) string {
			if answer == "" {
				r.Header.Del("Sec-WebSocket-Extensions")
			}
			return strings.Replace(rightResponse(r), "; client_max_window_bits=12", answer, 1)
		}}
		_, err := Echo(t.Context(), Config{Addr: s.serve(t, nil), Payloads: texts(2, 400), Takeover: true, Duration: time.Millisecond})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
	}
}

func TestConfigsThatExcludeOneAnother(t *testing.T) {
	for _, c := range []Config{
		{Payloads: [][]byte{{1}, {1, 2}}},
		{Takeover: true, Blocking: 0.5},
	} {
		if _, err := Echo(t.Context(), c); err == nil {
			t.Errorf("echoed with %+v", c)
		}
	}
	for _, c := range []Config{{Payloads: texts(2, 9)}, {Payload: pattern(9), Takeover: true}} {
		if _, err := Broadcast(t.Context(), c); err != errTakeover {
			t.Errorf("%v, want %v", err, errTakeover)
		}
	}
}
