package server

// Stats are statistics of a server since its start. A counter is a uint64; a
// number that goes up and down is an int64.
//
// All numbers are exact when the server is at rest. While connections are
// active, the fields from Opening to Unfinished, Open, Ended, and those counted
// at a connection's end (Timeouts, Closes, Cut) are consistent with each other,
// so that their sums are meaningful. Input is counted when the handlers return
// that were called for one read, output when it is passed to the kernel or to
// the backlog.
type Stats struct {
	// Opening handshakes. Each is counted in one of Opening, Accepted, Refused
	// and Unfinished.
	Opening    int64   // in progress
	Accepted   uint64  // answered with 101, by the server or before Run, Adopt or Accept
	Refused    Refused // answered with an HTTP error, or refused by AcceptHandshake
	Answered   uint64  // plain HTTP requests that Server.HTTP has answered
	Unfinished uint64  // ended without a response
	Full       uint64  // of Unfinished: closed for MaxConns, MaxConnsPerAddr or MaxHandshakes

	// Connections. Each accepted one is counted in Open or in Ended.
	Open  int64 // Handler.Close has not been called
	Ended Ended

	// Frames from clients and to clients.
	Received, Sent Traffic

	// Handlers.
	Panics          uint64 // in functions of the application
	HandOffs        uint64 // a handler blocked, and another goroutine took over its loop
	Blocked         int64  // handlers that block and have not returned since
	HandOffsRefused uint64 // a handler blocked its loop, because Blocked was at Server.MaxBlocked

	BatchedSends uint64 // writes that shared a system call: see Server.BatchedSends

	// Output for clients that read too slowly.
	Backlog     int64  // bytes buffered for all connections, frame headers included
	BacklogPeak uint64 // maximum of Backlog
	Dropped     uint64 // messages dropped by Server.SlowPolicy
	Cut         uint64 // connections ended by it; also counted in Ended.Lost

	Timeouts Timeouts
}

// Refused counts refused opening handshakes by the class of the HTTP status.
type Refused struct {
	Status3xx, Status4xx, Status5xx uint64
}

// Ended counts ended connections by the way they ended.
type Ended struct {
	ByClient uint64 // the client's Close came first
	ByServer uint64 // the server's Close came first and was answered; or CloseNow
	Failed   uint64 // the client broke a rule or a limit, or a handler panicked: a FailError
	Lost     uint64 // without a closing handshake, timeouts included: a LostError
}

// Traffic counts the frames in one direction.
type Traffic struct {
	Messages  uint64     // whole messages; those in fragments with the last one
	Bytes     uint64     // of their payload, as on the wire
	Fragments uint64     // data frames that are a part of a message only
	Pings     uint64     //
	Pongs     uint64     //
	Closes    CloseCodes // Close frames, counted when the connection ends

	// Compressed counts the compressed ones of Messages. EncodedBytes counts
	// the bytes of their payload as on the wire, DecodedBytes those of the same
	// messages before compression.
	Compressed, EncodedBytes, DecodedBytes uint64
}

// CloseCodes counts Close frames by their status code (RFC 6455, Section 7.4).
type CloseCodes struct {
	NormalClosure           uint64 // 1000
	GoingAway               uint64 // 1001
	ProtocolError           uint64 // 1002
	UnsupportedData         uint64 // 1003
	NoStatus                uint64 // none
	InvalidFramePayloadData uint64 // 1007
	PolicyViolation         uint64 // 1008
	MessageTooBig           uint64 // 1009
	MandatoryExtension      uint64 // 1010
	InternalError           uint64 // 1011
	ServiceRestart          uint64 // 1012
	TryAgainLater           uint64 // 1013
	BadGateway              uint64 // 1014
	Libraries               uint64 // 3000 to 3999
	Applications            uint64 // 4000 to 4999
}

// Timeouts counts connections that a timeout has ended, by the option of
// Server.
type Timeouts struct {
	Handshake uint64 // HandshakeTimeout
	Write     uint64 // WriteTimeout
	Close     uint64 // CloseTimeout
	Pong      uint64 // PongTimeout
	Idle      uint64 // IdleTimeout; also counted in Ended.ByServer if the client answers
	Assembly  uint64 // AssemblyTimeout; also counted in Ended.Failed
}

// Stats returns the server's statistics. It may be called from any goroutine.
// Its cost does not depend on the number of connections. To publish them by
// package expvar:
//
//	expvar.Publish("websocket", expvar.Func(func() any { return s.Stats() }))
//
// Handlers and Log report single events; examples/metrics uses both.
func (s *Server) Stats() Stats { return s.counters.stats() }
