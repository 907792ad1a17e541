package server

// Stats is what a server is doing and what it has done since its start. A number
// that grows is an uint64, one that goes up and down an int64.
//
// Once nothing happens any more, all of it is exact. While connections are at
// work, Opening to Unfinished, Open, Ended and what is counted at a connection's
// end (Timeouts, Closes, Cut) belong together, so that sums can be made of them;
// the other fields are each as of a moment of its own. What came from a client is
// counted when the handlers have returned that the server calls for what it read
// at once; what goes to a client, when it is handed to the system or to the
// backlog.
type Stats struct {
	// Opening handshakes: each is in one of these.
	Opening    int64   // under way
	Accepted   uint64  // answered with 101, by this server or before Run
	Refused    Refused // answered with an HTTP error, also those whose request was given to AcceptHandshake
	Answered   uint64  // plain HTTP requests that Server.HTTP has answered
	Unfinished uint64  // ended before there was an answer
	Full       uint64  // of these, cut because there were too many: MaxConns, MaxConnsPerAddr, MaxHandshakes

	// Connections: each whose opening handshake was accepted is in one of these.
	Open  int64 // Handler.Close has not been called
	Ended Ended

	// What clients sent and were sent.
	Received, Sent Traffic

	// Handlers.
	Panics          uint64 // in handlers and in Server.Authorize
	HandOffs        uint64 // a handler took so long that another goroutine went on with what its loop had to do
	Blocked         int64  // such handlers that have not returned
	HandOffsRefused uint64 // a handler took so long but kept its loop waiting, because Blocked was at its bound

	// What waits for clients that do not read.
	Backlog     int64  // payload and frame headers, in bytes, of all connections
	BacklogPeak uint64 // the most that Backlog has been
	Dropped     uint64 // messages that were not sent because of the backlog
	Cut         uint64 // connections that were cut because of it; they are in Ended.Lost too

	Timeouts Timeouts
}

// Refused is how many opening handshakes were refused, by the class of the HTTP
// status.
type Refused struct {
	Status3xx, Status4xx, Status5xx uint64
}

// Ended is how many connections have ended, by how they did.
type Ended struct {
	ByClient uint64 // the client's Close came first
	ByServer uint64 // the server's Close was sent first, and one of the client came; or CloseNow
	Failed   uint64 // the client broke a rule or a limit, or a handler panicked: a FailError
	Lost     uint64 // without a closing handshake, timeouts included: a LostError
}

// Traffic is what went in one direction over connections whose opening handshake
// was done.
type Traffic struct {
	Messages  uint64     // whole messages, and those in fragments when they are complete
	Bytes     uint64     // of their payload
	Fragments uint64     // data frames that are only a part of a message
	Pings     uint64     //
	Pongs     uint64     //
	Closes    CloseCodes // Close frames, counted when the connection ends
}

// CloseCodes is how many Close frames had which status code (RFC 6455, Section
// 7.4).
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

// Timeouts is how many connections have ended because something took too long, by
// the option of Server that bounds it.
type Timeouts struct {
	Handshake uint64 // HandshakeTimeout
	Write     uint64 // WriteTimeout
	Close     uint64 // CloseTimeout
	Pong      uint64 // PongTimeout
	Idle      uint64 // IdleTimeout; they are in Ended.ByServer, if the client answers
	Assembly  uint64 // AssemblyTimeout; they are in Ended.Failed
}

// Stats returns the server's statistics. It may be called at any time, from any
// goroutine, and takes no time that depends on the number of connections. As a
// variable of package expvar:
//
//	expvar.Publish("websocket", expvar.Func(func() any { return s.Stats() }))
//
// Of single events the Handler and Log are told; examples/metrics has both.
func (s *Server) Stats() Stats { return s.counters.stats() }
