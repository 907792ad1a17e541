package main

import (
	"net"
	"sync"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/bench/servers/internal/gobwasecho"
)

type server struct {
	serve.Options
	poller   *poller
	pool     pool
	sessions sync.Pool // of *gobwasecho.Session
	room     serve.Room[net.Conn]
}

func run(ln net.Listener, o serve.Options) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	s := &server{Options: o, poller: p, pool: newPool(workers)}
	s.sessions.New = func() any { return gobwasecho.NewSession(o, &s.room) }
	ended := make(chan error, 2)
	go func() { ended <- p.wait(func(c *channel) { s.pool.schedule(c.receive) }) }()
	go func() { ended <- s.accept(ln) }()
	return <-ended
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
	if _, err := gobwasecho.Upgrade(conn, false); err != nil {
		conn.Close()
		return
	}
	if s.Broadcast {
		s.room.Enter(conn)
	}
	c := &channel{conn: conn}
	c.receive = func() { s.receive(c) }
	if err := s.poller.start(c); err != nil {
		s.close(c)
	}
}

// receive reads what has come on c, a message or more, and waits for the next.
func (s *server) receive(c *channel) {
	session := s.sessions.Get().(*gobwasecho.Session)
	session.Begin(c.conn, false)
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
		s.room.Leave(c.conn)
	}
	s.poller.stop(c)
	c.conn.Close()
}
