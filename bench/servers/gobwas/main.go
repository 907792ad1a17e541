// Command gobwas echoes with github.com/gobwas/ws, a goroutine for each
// connection.
package main

import (
	"net"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/bench/servers/internal/gobwasecho"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gobwas",
		Module: "github.com/gobwas/ws",
		UTF8:   true,
		Loop:   "goroutines",
		Notes: "no net/http, zero-copy upgrade; wsutil.Reader with CheckUTF8 on 4 KiB of bufio, straight into wsutil.Writer's buffer of 4 KiB, " +
			"DisableFlush; broadcast: CompileFrame and a loop of Write, never compressed",
		Serve: run,
	})
}

type server struct {
	serve.Options
	room serve.Room[net.Conn]
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
	compress, err := gobwasecho.Upgrade(conn, s.Deflate)
	if err != nil {
		return
	}
	if s.Broadcast {
		s.room.Enter(conn)
		defer s.room.Leave(conn)
	}
	session := gobwasecho.NewSession(s.Options, &s.room)
	session.Begin(conn, compress)
	for session.Next() == nil {
	}
}
