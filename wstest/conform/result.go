package conform

import "time"

// Role is what a peer is under test as.
type Role string

const (
	Server Role = "server"
	Client Role = "client"
)

// A Result is what came of one case with one peer.
type Result struct {
	Case  *Case
	Agent string // the name of the peer
	Role  Role   // of the peer
	Again bool   // the case was judged before, among others, and this is the second time, alone

	Behavior      Verdict
	BehaviorClose Verdict
	Why           string // why Behavior is what it is, one sentence
	WhyClose      string // and BehaviorClose

	Started  time.Time
	Duration time.Duration // from the opening handshake's end to that of TCP
	Measured time.Duration // what a case that measures measured; 0 for the others

	Received []Event // what Behavior was judged by

	// The closing handshake.
	ClosedByMe  bool // the judge's Close was the first, or the peer's was illegal and does not count
	RemoteFirst bool // the peer's Close arrived before the judge sent one
	FailedByMe  bool // because the peer broke a rule, or time was over
	DroppedByMe bool // the judge ended TCP, where the peer should have
	WasClean    bool
	NotClean    string     // why it was not clean
	LocalClose  *CloseInfo // what the judge sent, nil if it sent no Close
	RemoteClose *CloseInfo // what the peer sent

	OpenTimeout  bool // the opening handshake took too long
	CloseTimeout bool // the peer's Close did not come
	DropTimeout  bool // the server did not end TCP

	Request, Response string // the heads of the opening handshake, as they were on the wire
	Extension         string // what was agreed on compression, "" if nothing

	// Flags are faults that no verdict speaks of, each a sentence with the RFC's section.
	Flags []string

	Log     []LogEntry
	Omitted int // how many entries were left out of Log between its first part and its last
	LogHead int // how many entries the first part has, if Omitted > 0
	Tx, Rx  Traffic
}

// Passed reports whether neither verdict says that a rule was broken.
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
	EventTimeout EventKind = "timeout" // the judge's own: a wait was over, and the connection still open
)

// An Event is what a case is judged by.
type Event struct {
	Kind    EventKind
	Binary  bool   // of a message
	Payload []byte // of a message or Pong; in results of large messages cut to their first bytes
	Size    int    // of the whole payload
	Tag     string // of a timeout
}

// An Alternative is one list of events that a case accepts.
type Alternative struct {
	Verdict Verdict // OK or NonStrict
	Events  []Event
}

// ExpectedClose is how a case wants the connection to be closed.
type ExpectedClose struct {
	ByMe           bool  // the judge's Close is the first; false: the peer's, or it ends TCP
	Codes          []int // that the peer's Close may have; an empty Close is always right
	Clean          bool  // both Close frames are needed, and a server must end TCP itself
	WrongSideFatal bool  // if the other side closes, Behavior is Failed too
}

// LogKind is the kind of a LogEntry.
type LogKind string

const (
	LogSent     LogKind = "sent"     // octets written at once
	LogCame     LogKind = "came"     // octets read at once
	LogTxFrame  LogKind = "tx frame" // a frame, in front of its octets
	LogRxFrame  LogKind = "rx frame" // a frame, after its octets
	LogTimer    LogKind = "timer"    // a wait that began or ended
	LogNote     LogKind = "note"     // what the judge made of it: a rule that was broken, a verdict
	LogEndOfTCP LogKind = "tcp"      // who ended the connection, and how
)

// A LogEntry is one line of a case's wire log.
type LogEntry struct {
	At    time.Duration // since the opening handshake's end
	Kind  LogKind
	Frame *FrameInfo // of the frame kinds
	Data  []byte     // the first octets of the frame's payload, unmasked, or of what was written or read
	Size  int        // how many octets there were
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

// Traffic counts what went in one direction.
type Traffic struct {
	Octets       int64
	OctetsBySize map[int]int // how many chunks of which length were written or read
	Frames       map[int]int // how many frames of which opcode
}
