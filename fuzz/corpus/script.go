package corpus

import (
	"fmt"

	"github.com/fibersock/fibersock/wire"
)

// Role is the role of the endpoint under test, as scripts spell it.
type Role string

// The roles. A parsed script has one of the first two.
const (
	Client Role = "client"
	Server Role = "server"
	both   Role = "both"
)

// NoLimit is the value of a limit that a script switches off.
const NoLimit = -1

// Script is one dialogue.
type Script struct {
	File  string
	Line  int // of the script's "==" line
	Name  string
	Rules []string // numbers of the requirements that the script shows
	Role  Role

	FrameLimit   int64 // payload bytes; 0: the default, NoLimit: none
	MessageLimit int64 // payload bytes; 0: the default, NoLimit: none
	Partial      bool  // messages are delivered in pieces

	Steps []Step
}

// Input returns everything the peer sends in the script, in order.
func (s *Script) Input() []byte {
	var in []byte
	for _, step := range s.Steps {
		if step.Action.Kind == Input {
			in = append(in, step.Action.Bytes...)
		}
	}
	return in
}

// Position returns "file:line" of one of the script's lines.
func (s *Script) Position(line int) string {
	return fmt.Sprintf("%s:%d", s.File, line)
}

// Step is an action and its complete results.
type Step struct {
	Line   int // of the action's first line
	Action Action
	Events []Event
	Out    []Frame
	State  State // "": not checked
}

// ActionKind is a kind of action, as scripts spell it.
type ActionKind string

// The actions: the peer sends bytes or ends the transport, or the application
// makes a call.
const (
	Input        ActionKind = "in"
	EOF          ActionKind = "eof"
	SendMessage  ActionKind = "send"
	SendFragment ActionKind = "fragment"
	SendPing     ActionKind = "ping"
	SendPong     ActionKind = "pong"
	SendClose    ActionKind = "close"
)

// Action is an action. Its kind determines the fields that it uses.
type Action struct {
	Kind    ActionKind
	Opcode  wire.Opcode     // SendMessage, SendFragment
	Final   bool            // SendFragment
	Bytes   []byte          // all but EOF and SendClose
	Code    wire.StatusCode // SendClose
	Reason  string          // SendClose
	Refused bool            // the call must fail without effect
}

// EventKind is a kind of event, as scripts spell it.
type EventKind string

// The events.
const (
	Message EventKind = "message"
	Partial EventKind = "partial" // a piece of a message
	Ping    EventKind = "ping"
	Pong    EventKind = "pong"
	Close   EventKind = "close" // the peer closed
	Fail    EventKind = "fail"  // the endpoint failed the connection
	Lost    EventKind = "lost"  // the transport ended without a closing handshake
)

// Event is an event for the application. Its kind determines the fields that it
// uses.
type Event struct {
	Line    int // 0 for an event that happened, not one that a script expects
	Kind    EventKind
	Opcode  wire.Opcode     // Message, Partial: Text or Binary
	Final   bool            // Partial
	Payload []byte          // Message, Partial, Ping, Pong
	Code    wire.StatusCode // Close, Fail, Lost
	Reason  string          // Close
}

// String returns the event as a script would spell it, with long payloads cut.
func (e Event) String() string {
	switch e.Kind {
	case Message:
		return fmt.Sprintf("message %v %s", e.Opcode, quote(e.Payload))
	case Partial:
		extent := "more"
		if e.Final {
			extent = "final"
		}
		return fmt.Sprintf("partial %v %s %s", e.Opcode, extent, quote(e.Payload))
	case Ping, Pong:
		return fmt.Sprintf("%v %s", e.Kind, quote(e.Payload))
	case Close:
		return fmt.Sprintf("close %d %q", int(e.Code), e.Reason)
	}
	return fmt.Sprintf("%v %d", e.Kind, int(e.Code))
}

// Frame is one frame that the endpoint must write.
type Frame struct {
	Line      int
	Bytes     []byte          // the frame; a client's has the masking key 00000000
	CloseCode wire.StatusCode // not 0: a Close frame with this code and any reason, and no Bytes
}

// String returns the frame as a script would spell it, cut if it is long.
func (f Frame) String() string {
	if f.CloseCode != 0 {
		return fmt.Sprintf("close %d", int(f.CloseCode))
	}
	return Hex(f.Bytes)
}

// State is the state of an endpoint's connection as the application sees it,
// as scripts spell it. The zero State is none.
type State string

// The states.
const (
	Open      State = "open"
	CloseSent State = "closesent"
	Closed    State = "closed"
)

// shown is how many bytes of a long payload or frame a failure shows.
const shown = 48

// quote returns p as a Go string, cut if it is long.
func quote(p []byte) string {
	if len(p) <= shown {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%q… (%d bytes)", p[:shown], len(p))
}

// Hex returns b in hexadecimal, cut if it is long.
func Hex(b []byte) string {
	if len(b) <= shown {
		return fmt.Sprintf("% x", b)
	}
	return fmt.Sprintf("% x… (%d bytes)", b[:shown], len(b))
}
