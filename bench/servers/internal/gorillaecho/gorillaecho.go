// Package gorillaecho is what the servers over github.com/gorilla/websocket and
// its fork share: the packages have the same methods on types of their own.
package gorillaecho

import (
	"bytes"
	"io"
	"sync"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

const binary = 2 // BinaryMessage in both

// Conn is the library's Conn, Prepared its *PreparedMessage.
type Conn[Prepared any] interface {
	SetReadLimit(bytes int64)
	NextReader() (messageType int, r io.Reader, err error)
	WriteMessage(messageType int, p []byte) error
	WritePreparedMessage(Prepared) error
	Close() error
}

// A Server echoes on connections whose handshake is done.
type Server[Prepared any] struct {
	serve.Options
	Prepare func(messageType int, p []byte) (Prepared, error) // the library's NewPreparedMessage

	room serve.Room[*member[Prepared]]
}

// Serve echoes on conn until it ends.
func (s *Server[Prepared]) Serve(conn Conn[Prepared]) {
	defer conn.Close()
	conn.SetReadLimit(int64(s.MaxMessage))
	answer := conn.WriteMessage
	if s.Broadcast {
		m := &member[Prepared]{conn: conn}
		s.room.Enter(m)
		defer s.room.Leave(m)
		answer = s.broadcast
	}
	echo(conn, answer)
}

// echo calls answer with each message. The documentation, "Overview": NextReader
// with a reader of one's own reads without ReadMessage's allocation.
func echo[Prepared any](conn Conn[Prepared], answer func(messageType int, p []byte) error) {
	var message bytes.Buffer
	for {
		messageType, r, err := conn.NextReader()
		if err != nil {
			return
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return
		}
		serve.Work(messageType == binary, message.Bytes())
		if answer(messageType, message.Bytes()) != nil {
			return
		}
	}
}

func (s *Server[Prepared]) broadcast(messageType int, p []byte) error {
	prepared, err := s.Prepare(messageType, p)
	if err != nil {
		return err
	}
	for _, m := range s.room.Members() {
		m.send(prepared)
	}
	return nil
}

// member is a connection that several may write to, which the library leaves to
// the application.
type member[Prepared any] struct {
	mu   sync.Mutex
	conn Conn[Prepared]
}

func (m *member[Prepared]) send(p Prepared) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// One that is lost ends where it is read.
	_ = m.conn.WritePreparedMessage(p)
}
