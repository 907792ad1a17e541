// Command minimal-go echoes with package net only: a limit for Go servers with
// a goroutine and a net.Conn for each connection.
//
// For each read it unmasks the received frames in place, turns them into their
// echo, and writes all of it at once. It answers Ping and Close, and fails the
// connection for frames that are unmasked, have RSV bits or are too long. It
// does not assemble messages (a fragment is echoed as a fragment), does not
// check UTF-8, the order of fragments or the payload of a Close, and has no
// timeouts.
package main

import (
	"net"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

func main() {
	serve.Main(serve.Peer{
		Name:      "minimal-go",
		Loop:      "goroutines",
		Notes:     "net.Conn only; one read, unmasked in place, one write; frame by frame; checks next to nothing; broadcast: a loop of Write",
		NoTopics:  "the server has no topics",
		NoWork:    "the server has no handler that computes",
		NoDeflate: "it has no permessage-deflate",
		Serve:     run,
	})
}

const bufferSize = 4096

type server struct {
	serve.Options
	group serve.Group[net.Conn]
}

func run(ln net.Listener, o serve.Options) error {
	s := &server{Options: o}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go s.serve(conn)
	}
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, bufferSize)
	n, err := upgrade(conn, buf)
	if err != nil {
		return
	}
	if s.Broadcast {
		s.group.Add(conn)
		defer s.group.Remove(conn)
	}
	s.echo(conn, buf, n)
}

// echo serves the connection from when n bytes of frames are in buf.
func (s *server) echo(conn net.Conn, buf []byte, n int) {
	r := replies{buf: buf, end: n, max: s.MaxMessage}
	if s.Broadcast {
		r.broadcast = s.broadcast
	}
	for {
		open := r.turn()
		if out := r.take(); len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
		if !open {
			return
		}
		n, err := conn.Read(r.room())
		if err != nil {
			return
		}
		r.end += n
	}
}

func (s *server) broadcast(frame []byte) {
	for _, conn := range s.group.Members() {
		// The reader of a lost connection ends it.
		_, _ = conn.Write(frame)
	}
}
