package server

import (
	"errors"
	"log"
	"runtime/debug"
)

// This file keeps the server alive when a function of the application does not
// return: because it panics, or because it calls runtime.Goexit, as
// testing.T.FailNow does.
//
// A panic is recovered where the connection is known: by Conn.receive, drain, serve
// and protect. A call of runtime.Goexit cannot be recovered, it ends the goroutine.
// Deferred functions still run, and they do the rest:
//
//	Conn.receive, drain, serve  report the call and fail the connection
//	netloop's PolledSocket.run  gives the socket up
//	netloop's poller.lead       starts the poller's next leader
//	netloop's goroutineSocket   starts the goroutine that ends the connection
//
// Server.Log, which every part of the server calls, runs on a goroutine of its own.

// ErrGoexit is the Value of a PanicError if the function did not panic but called
// runtime.Goexit. testing.T.FailNow, Fatal and SkipNow do that.
var ErrGoexit = errors.New("runtime.Goexit was called")

// caught reports a panic, from the deferred function that has recovered value. It
// is runtime.Goexit that was called if value is nil.
func (s *Server) caught(value any) *PanicError {
	err := newPanicError(value)
	s.counters.count(func(st *Stats) { st.Panics++ })
	s.report(err)
	return err
}

func newPanicError(value any) *PanicError {
	if value == nil {
		value = ErrGoexit
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// report tells Log, or the standard logger.
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

// callLog calls Log. If Log does not return, the standard logger is told of that
// and of err.
func (s *Server) callLog(err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if !returned {
				why := newPanicError(recover())
				s.counters.count(func(st *Stats) { st.Panics++ })
				logError(why)
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
