package server_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// room starts a server whose clients are all subscribed to "room", and whose
// handler publishes each message with publish. It opens n connections.
func room(t *testing.T, start starter, n int, s *server.Server, publish func(topics *server.Topics, c *server.Conn, op wire.Opcode, p []byte)) (peers []*peer, conns []*server.Conn, topics *server.Topics) {
	t.Helper()
	topics = new(server.Topics)
	rec := newRecorder(t)
	s.Handler.Open = func(c *server.Conn) {
		check.OK(t, topics.Subscribe(c, "room"))
		rec.open(c)
	}
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) { publish(topics, c, op, p) }
	r := start(t, s)
	for range n {
		peers = append(peers, r.open(t))
		conns = append(conns, rec.conn())
	}
	return peers, conns, topics
}

// Messages that a handler publishes reach all subscribers but the excepted one,
// in order, also with messages that are sent otherwise. Other connections get
// none.
func TestPublicationsOfAHandler(t *testing.T) {
	const clients, messages = 5, 20
	eachLoop(t, func(t *testing.T, start starter) {
		var second atomic.Pointer[server.Conn]
		peers, conns, topics := room(t, start, clients, &server.Server{}, func(topics *server.Topics, c *server.Conn, op wire.Opcode, p []byte) {
			n, err := topics.Publish("room", op, p)
			check.OK(t, err)
			check.Equal(t, n, server.Published{Sent: clients - 1}, "publication to all")
			check.OK(t, second.Load().SendText("between"))
			n, err = topics.PublishExcept(c, "room", op, append([]byte("others "), p...))
			check.OK(t, err)
			check.Equal(t, n, server.Published{Sent: clients - 2}, "publication to others")
		})
		second.Store(conns[1])
		check.Equal(t, topics.Unsubscribe(conns[4], "room"), true, "Unsubscribe")
		peers[0].send(texts(messages)...)
		for i := range messages {
			peers[0].want(fmt.Sprintf(`text "%d"`, i))
			peers[1].want(fmt.Sprintf(`text "%d"`, i), `text "between"`, fmt.Sprintf(`text "others %d"`, i))
			peers[2].want(fmt.Sprintf(`text "%d"`, i), fmt.Sprintf(`text "others %d"`, i))
			peers[3].want(fmt.Sprintf(`text "%d"`, i), fmt.Sprintf(`text "others %d"`, i))
		}
		for i, p := range peers {
			check.OK(t, conns[i].SendText("the end"))
			p.want(`text "the end"`)
		}
	})
}

// Other goroutines publish as well, also prepared messages, to connections of
// several servers.
func TestPublicationsToSeveralServers(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		var topics server.Topics
		var peers []*peer
		var conns []*server.Conn
		for range 3 {
			s, rec := recorded(t, start, &server.Server{})
			peers = append(peers, s.open(t))
			conns = append(conns, rec.conn())
			check.Must(t, topics.Subscribe(conns[len(conns)-1], "news"))
		}
		m, err := server.Prepare(wire.Binary, []byte("prepared"))
		check.Must(t, err)
		check.Must(t, check.Err(topics.Publish("news", wire.Text, []byte("all"))))
		check.Equal(t, topics.PublishPrepared("news", m), server.Published{Sent: 3}, "publication")
		check.Equal(t, topics.PublishPreparedExcept(conns[2], "news", m), server.Published{Sent: 2}, "publication to two")
		check.Must(t, check.Err(topics.Publish("news", wire.Text, []byte("end"))))
		for i, p := range peers {
			p.want(`text "all"`, `binary "prepared"`)
			if i < 2 {
				p.want(`binary "prepared"`)
			}
			p.want(`text "end"`)
		}
	})
}

// A message that cannot be sent is refused, whether there are subscribers or
// not (6455-5.6-c).
func TestInvalidPublicationIsRefused(t *testing.T) {
	var topics server.Topics
	if _, err := topics.Publish("", wire.Text, []byte("\xff")); !errors.Is(err, wire.ErrInvalidUTF8) {
		t.Errorf("invalid UTF-8: %v", err)
	}
	if _, err := topics.PublishExcept(nil, "", wire.Ping, nil); err != server.ErrNotData {
		t.Errorf("a Ping: %v", err)
	}
	n, err := topics.Publish("", wire.Text, nil)
	check.OK(t, err)
	check.Equal(t, n, server.Published{}, "publication to nobody")
}

// Connections of other handshakes have topics, too: Adopt, as behind net/http,
// and Accept.
func TestTopicsOfAdoptedConnections(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		var topics server.Topics
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler()}
		nc, adopted := connect()
		s.Adopt(nc, server.Handshake{Request: &handshake.Request{Method: "GET", Target: "/", Proto: "HTTP/1.1"}})
		check.Must(t, topics.Subscribe(rec.conn(), "all"))
		nc, accepted := connect()
		check.Must(t, topics.Subscribe(mustAccept(t, s, nc), "all"))
		n, err := topics.Publish("all", wire.Text, []byte("Hello"))
		check.OK(t, err)
		check.Equal(t, n, server.Published{Sent: 2}, "publication")
		for _, p := range []*peer{adopted, accepted} {
			p.want(`text "Hello"`)
			p.nc.Close()
		}
		eventually(t, "no subscriber", func() bool { return topics.Count("all") == 0 })
		shutdown(t, s)
	})
}

// However a connection ends, its subscriptions end before Error and Close are
// called. Of still has its topics, so that Close can tell the others.
func TestSubscriptionsEndWithTheConnection(t *testing.T) {
	for name, end := range map[string]func(p *peer, c *server.Conn){
		"Close of the client":  func(p *peer, c *server.Conn) { p.send(closing(1000, "")) },
		"end of the transport": func(p *peer, c *server.Conn) { p.nc.Close() },
		"faulty frame":         func(p *peer, c *server.Conn) { p.send("\x83\x80") },
		"CloseNow":             func(p *peer, c *server.Conn) { c.CloseNow() },
		"panic":                func(p *peer, c *server.Conn) { p.send(text("panic")) },
	} {
		t.Run(name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				var topics server.Topics
				rec := newRecorder(t)
				left := func(c *server.Conn) {
					if c.Value() == nil {
						return // the one that stays until the end of the test
					}
					check.Equal(t, topics.Count("a"), 1, "subscribers")
					check.Equal(t, topics.Subscribed(c, "a"), false, "subscribed")
					check.Slices(t, slices.Sorted(topics.Of(c)), []string{"a", "b"}, "topics")
					same(t, topics.Subscribe(c, "c"), c.Err(), "Subscribe")
				}
				s := start(t, &server.Server{
					Log: func(err error) {},
					Handler: server.Handler{
						Open:    rec.open,
						Message: func(*server.Conn, wire.Opcode, []byte) { panic("a panic of the test") },
						Error:   func(c *server.Conn, err error) { left(c) },
						Close: func(c *server.Conn, code wire.StatusCode, reason string) {
							left(c)
							for topic := range topics.Of(c) {
								check.OK(t, check.Err(topics.Publish(topic, wire.Text, []byte("one has left "+topic))))
							}
						},
					},
				})
				stays := s.open(t)
				check.Must(t, topics.Subscribe(rec.conn(), "a"))
				p := s.open(t)
				c := rec.conn()
				c.SetValue("leaves")
				check.Must(t, topics.Subscribe(c, "a"))
				check.Must(t, topics.Subscribe(c, "b"))
				end(p, c)
				stays.want(`text "one has left a"`)
			})
		})
	}
}

// Subscribers that read too slowly are treated as SlowPolicy says, delay nobody,
// and are counted.
func TestSlowSubscribers(t *testing.T) {
	t.Parallel()
	const size, most = 100, 10_000
	for name, tt := range map[string]struct {
		policy server.SlowPolicy
		want   server.Published // of the first publication that is not only sent
	}{
		"close":       {server.SlowClose, server.Published{Sent: 1, Aborted: 1}},
		"block":       {server.SlowBlock, server.Published{Sent: 1, Aborted: 1}},
		"drop newest": {server.SlowDropNewest, server.Published{Sent: 1, Dropped: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				var topics server.Topics
				s, rec := recorded(t, start, &server.Server{MaxBacklog: size * most, SlowPolicy: tt.policy, WriteTimeout: time.Hour})
				s.open(t) // does not read any further
				reads := s.open(t)
				for range 2 {
					check.Must(t, topics.Subscribe(rec.conn(), "all"))
				}
				p := make([]byte, size<<10)
				for {
					n, err := topics.Publish("all", wire.Binary, p)
					check.Must(t, err)
					reads.want(fmt.Sprintf("binary %d bytes", len(p)))
					if n != (server.Published{Sent: 2}) {
						check.Equal(t, n, tt.want, "publication")
						break
					}
				}
			})
		})
	}
}

// A message is compressed once, for all subscribers that have negotiated it.
func TestPublicationsAreCompressed(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		var topics server.Topics
		s, rec := recorded(t, start, &server.Server{Compression: &permessage.Deflate{Mode: permessage.NoContextTakeover}})
		p := s.openAs(t, "/", "Sec-WebSocket-Extensions: permessage-deflate")
		check.Must(t, topics.Subscribe(rec.conn(), "all"))
		message := strings.Repeat("all work and no play ", 100)
		check.Must(t, check.Err(topics.Publish("all", wire.Text, []byte(message))))
		f, err := p.next()
		check.Must(t, err)
		if f.RSV != wire.RSV1 || len(f.Payload) > len(message)/5 {
			t.Errorf("RSV %v, %d bytes for %d", f.RSV, len(f.Payload), len(message))
		}
	})
}

// No message of a client subscribes it: names are the application's.
func TestClientsDoNotSubscribeThemselves(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		peers, _, topics := room(t, start, 1, &server.Server{}, func(topics *server.Topics, c *server.Conn, op wire.Opcode, p []byte) {
			check.OK(t, c.Send(op, p))
		})
		for _, m := range []string{"SUBSCRIBE secret", `{"op":"subscribe","args":["secret"]}`, "SUB secret 1\r\n", "room"} {
			peers[0].send(text(m))
			peers[0].want("text " + brief([]byte(m)))
			check.Equal(t, topics.Count("secret"), 0, "subscribers")
		}
	})
}
