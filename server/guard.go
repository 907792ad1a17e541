package server

import (
	"errors"
	"log"

	"github.com/fibersock/fibersock/endpoint"
)

// This file keeps the server running when a function of the application does
// not return: because it panics, or because it calls runtime.Goexit, as
// testing.T.FailNow does.
//
// A panic is recovered where the connection is known: by Conn.receive,
// callWritable, serve and callProtected. A call of runtime.Goexit cannot be
// recovered; it ends the goroutine. Deferred functions still run:
//
//	receive, callWritable, serve  report the call and fail the connection
//	the loop                      continues on another goroutine
//
// Server.Log, which every part of the server calls, runs on a goroutine of its
// own.

// caught reports a panic with value or, if value is nil, a call of
// runtime.Goexit. It is called by the deferred function that has called
// recover.
func (s *Server) caught(value any) *PanicError {
	err := s.countPanic(value)
	s.report(err)
	return err
}

// recovered is caught as a netloop.Recover.
func (s *Server) recovered(value any) error { return s.caught(value) }

// countPanic is caught without the report.
func (s *Server) countPanic(value any) *PanicError {
	err := endpoint.NewPanicError(value)
	s.counters.count(func(st *Stats) { st.Panics++ })
	return err
}

// report passes err to Log or to the standard logger.
func (s *Server) report(err error) {
	if s.Log != nil {
		s.callLog(err)
		return
	}
	var refused *RefusedError
	if !errors.As(err, &refused) {
		logError(err)
	}
}

// callLog calls Log. If Log does not return, the standard logger gets err and
// the reason.
func (s *Server) callLog(err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if !returned {
				logError(s.countPanic(recover()))
				logError(err)
			}
		}()
		s.Log(err)
		returned = true
	}()
	<-done
}

// logError writes err to the standard logger.
func logError(err error) {
	var p *PanicError
	if errors.As(err, &p) {
		log.Printf("%v\n%s", err, p.Stack)
		return
	}
	log.Print(err)
}
