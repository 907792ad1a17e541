package main

import (
	"net"
	"sync"

	"github.com/gobwas/ws"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
)

type server struct {
	serve.Options
	poller   *poller
	pool     pool
	sessions sync.Pool // of *gobwas.Session
	group    serve.Group[net.Conn]
}

func run(ln net.Listener, o serve.Options) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	s := &server{Options: o, poller: p, pool: newPool(workers)}
	options, handler := peers.Options{MaxMessage: o.MaxMessage}, serve.Handler(gobwas.Library, o)
	if o.Broadcast {
		handler.Message = s.broadcast
	}
	s.sessions.New = func() any { return gobwas.NewSession(ws.StateServerSide, options, handler) }
	ended := make(chan error, 2)
	go func() { ended <- p.wait(func(c *channel) { s.pool.schedule(c.receive) }) }()
	go func() { ended <- s.accept(ln) }()
	return <-ended
}

// broadcast writes to the connections: a connection without input has no
// session.
func (s *server) broadcast(_ peers.Conn, text bool, p []byte) error {
	serve.BlockIfAsked(!text, p)
	frame, err := gobwas.Compile(text, p)
	if err != nil {
		return err
	}
	for _, conn := range s.group.Members() {
		_, _ = conn.Write(frame) // the reader of a lost connection ends it
	}
	return nil
}

func (s *server) accept(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		s.pool.schedule(func() { s.open(conn) })
	}
}

func (s *server) open(conn net.Conn) {
	if _, err := gobwas.Upgrade(conn, false); err != nil {
		conn.Close()
		return
	}
	if s.Broadcast {
		s.group.Add(conn)
	}
	c := &channel{conn: conn}
	c.receive = func() { s.receive(c) }
	if err := s.poller.start(c); err != nil {
		s.close(c)
	}
}

// receive reads the available messages of c, and waits for the next.
func (s *server) receive(c *channel) {
	session := s.sessions.Get().(*gobwas.Session)
	session.Begin(c.conn, c.conn, false)
	err := session.Next()
	for err == nil && session.Pending() {
		err = session.Next()
	}
	if err != nil {
		s.close(c)
		return
	}
	session.End()
	s.sessions.Put(session)
	if s.poller.resume(c) != nil {
		s.close(c)
	}
}

func (s *server) close(c *channel) {
	if s.Broadcast {
		s.group.Remove(c.conn)
	}
	s.poller.stop(c)
	c.conn.Close()
}
