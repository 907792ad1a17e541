package conform

import "time"

// Role is the role of the peer under test.
type Role string

const (
	Server Role = "server"
	Client Role = "client"
)

// A Result is the result of one case with one peer.
type Result struct {
	Case  *Case
	Agent string // the name of the peer
	Role  Role   // of the peer
	Again bool   // the case was judged a second time, alone

	Behavior      Verdict
	BehaviorClose Verdict
	Why           string // the reason for Behavior, one sentence
	WhyClose      string // the reason for BehaviorClose

	Started  time.Time
	Duration time.Duration // from the end of the opening handshake to the end of TCP
	Measured time.Duration // the time of a case that measures time; else 0

	Received []Event // the events that Behavior is judged by

	// The closing handshake.
	ClosedByMe  bool // the judge's Close was the first, or the peer's was illegal
	RemoteFirst bool // the peer's Close arrived before the judge sent one
	FailedByMe  bool // the judge failed the connection, for a broken rule or a timeout
	DroppedByMe bool // the judge ended TCP in place of the peer
	WasClean    bool
	NotClean    string     // the reason, if it was not clean
	LocalClose  *CloseInfo // the judge's Close; nil: none
	RemoteClose *CloseInfo // the peer's Close; nil: none

	OpenTimeout  bool // the opening handshake timed out
	CloseTimeout bool // the peer sent no Close in time
	DropTimeout  bool // the server did not end TCP in time

	Request, Response string // the heads of the opening handshake, as on the wire
	Extension         string // the answer that agrees on compression; "": none

	// Flags are faults that no verdict covers, each a sentence with the RFC's
	// section.
	Flags []string

	Log     []LogEntry
	Omitted int // the number of entries that Log omits after its first part
	LogHead int // the number of entries of the first part, if Omitted > 0
	Tx, Rx  Traffic
}

// Passed reports whether neither verdict is that a rule was broken.
func (r *Result) Passed() bool {
	return !r.Behavior.Broken() && !r.BehaviorClose.Broken()
}

// CloseInfo is the content of a Close frame.
type CloseInfo struct {
	Code   int // -1 if the payload was empty
	Reason string
}

// EventKind is the kind of an Event.
type EventKind string

const (
	EventMessage EventKind = "message"
	EventPong    EventKind = "pong"
	EventTimeout EventKind = "timeout" // of the judge: a wait ended with the connection open
)

// An Event is a message, a Pong, or the end of a wait.
type Event struct {
	Kind    EventKind
	Binary  bool   // of a message
	Payload []byte // of a message or Pong; in results the first 4 KiB
	Size    int    // of the whole payload, in bytes
	Tag     string // of a timeout
}

// An Alternative is a list of events that a case accepts.
type Alternative struct {
	Verdict Verdict // OK or NonStrict
	Events  []Event
}

// ExpectedClose is the closing handshake that a case expects.
type ExpectedClose struct {
	ByMe           bool  // the judge closes first; else the peer closes or ends TCP
	Codes          []int // allowed in the peer's Close; an empty Close is always allowed
	Clean          bool  // both peers must send a Close, and a server must end TCP
	WrongSideFatal bool  // if the other side closes first, Behavior is Failed
}

// LogKind is the kind of a LogEntry.
type LogKind string

const (
	LogSent     LogKind = "sent"     // octets of one write
	LogReceived LogKind = "came"     // octets of one read
	LogTxFrame  LogKind = "tx frame" // a frame, before its octets
	LogRxFrame  LogKind = "rx frame" // a frame, after its octets
	LogTimer    LogKind = "timer"    // the begin or end of a wait
	LogNote     LogKind = "note"     // a remark of the judge: a broken rule, a verdict
	LogEndOfTCP LogKind = "tcp"      // the end of the connection, and its side
)

// A LogEntry is one line of a case's wire log.
type LogEntry struct {
	At    time.Duration // since the end of the opening handshake
	Kind  LogKind
	Frame *FrameInfo // of the frame kinds
	Data  []byte     // the first octets, of a frame those of its unmasked payload
	Size  int        // the number of octets
	Text  string     // of the other kinds
}

// FrameInfo is a frame's header.
type FrameInfo struct {
	Opcode int // 0 to 15
	Fin    bool
	RSV    int // 0 to 7: RSV1 is 4
	Masked bool
	Key    [4]byte
}

// Traffic counts the octets and frames of one direction.
type Traffic struct {
	Octets       int64
	OctetsBySize map[int]int // the number of writes or reads, by their length
	Frames       map[int]int // the number of frames, by opcode
}
