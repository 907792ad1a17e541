package differential

import (
	"errors"
	"io"
	"slices"

	"github.com/fibersock/fibersock/wire"
)

// Peer is another implementation.
type Peer struct {
	Name   string
	Decode func(stream []byte) Outcome
}

// Peers are those that fibersock is compared with.
var Peers = []Peer{{"gorilla", Gorilla}, {"gobwas", Gobwas}}

// Difference is one that is known.
type Difference struct {
	Name string
	Peer string // whose it is, "" for all
	Rule string // of RFC 6455, that fibersock keeps to
	Why  string

	// explains reports whether this is the only difference of the outcomes.
	explains func(c *comparison) bool
}

// comparison is two outcomes of a stream that differ.
type comparison struct {
	stream       []byte
	peer         Peer
	ours, theirs Outcome
}

// Differences are the known differences.
var Differences = []Difference{
	{
		Name: "late",
		Rule: "Section 8.1 and 10.7 leave it open when a rule is checked",
		Why: "fibersock fails with the first wrong byte; the others read a whole header, or a whole control frame, before they look, " +
			"and report the end of the transport if the client stops in between. With more bytes they fail as well.",
		explains: func(c *comparison) bool {
			if c.ours.End != Failed || c.theirs.End != Lost || !slices.Equal(c.ours.Messages, c.theirs.Messages) {
				return false
			}
			more := append(slices.Clone(c.stream), make([]byte, 2*wire.MaxControlPayload)...)
			return c.peer.Decode(more).End == Failed
		},
	},
	{
		Name:     "length not in its shortest form",
		Rule:     "Section 5.2: the minimal number of bytes MUST be used to encode the length",
		Why:      "neither of the others checks it",
		explains: after(wire.ErrNonMinimalLength),
	},
	{
		Name:     "text not checked",
		Peer:     "gorilla",
		Rule:     "Section 8.1: an endpoint that finds text which is not UTF-8 MUST fail the connection",
		Why:      "gorilla leaves it to the application to check a text message",
		explains: after(wire.ErrInvalidUTF8),
	},
	{
		Name: "Close payload of one byte",
		Peer: "gorilla",
		Rule: "Section 5.5.1: if there is a body, its first two bytes MUST be a status code",
		Why:  "gorilla takes one byte for none, and reports 1005",
		explains: func(c *comparison) bool {
			return c.ours.broke(wire.ErrClosePayload) && c.theirs.End == Closed && c.theirs.Code == 1005 && slices.Equal(c.ours.Messages, c.theirs.Messages)
		},
	},
	{
		Name:     "control frame with a long form of length",
		Peer:     "gobwas",
		Rule:     "Section 5.5: control frames MUST have a payload length of 125 bytes or less, for which the shortest form has 7 bits",
		Why:      "gobwas looks at the number only, whatever its form",
		explains: after(wire.ErrControlTooLong),
	},
	{
		Name:     "new status codes",
		Rule:     "Section 7.4.2 and the IANA registry, which has had 1012 to 1014 since 2017",
		Why:      "gorilla's list of codes that may be received ends with 1013, gobwas's with 1011",
		explains: func(c *comparison) bool { return c.refusesCode(1012, 1014) },
	},
	{
		Name: "status codes from 5000 on",
		Peer: "gobwas",
		Rule: "Section 7.4.2: codes are those up to 4999",
		Why:  "gobwas refuses unassigned codes below 3000 only",
		explains: func(c *comparison) bool {
			return c.ours.broke(wire.ErrStatusCode) && c.theirs.End == Closed && c.theirs.Code >= 5000 && slices.Equal(c.ours.Messages, c.theirs.Messages)
		},
	},
	{
		Name: "message cut short",
		Peer: "gobwas",
		Rule: "Section 5.4: a message ends with a frame that has FIN set",
		Why: "when the transport ends in the payload of a control frame between two fragments, gobwas's control handler returns io.EOF, " +
			"which its reader returns: a caller that reads until io.EOF accepts the incomplete message",
		explains: func(c *comparison) bool {
			n := len(c.ours.Messages)
			return c.ours.End == Lost && c.theirs.End == Lost && len(c.theirs.Messages) == n+1 && slices.Equal(c.theirs.Messages[:n], c.ours.Messages) &&
				errors.Is(c.ours.Err, io.ErrUnexpectedEOF)
		},
	},
}

// refusesCode reports whether the peer alone fails because of a code of the range.
func (c *comparison) refusesCode(low, high int) bool {
	return low <= c.ours.Code && c.ours.Code <= high && c.theirs.End == Failed && slices.Equal(c.ours.Messages, c.theirs.Messages)
}

// after explains a stream in which only fibersock fails, because of a rule: the
// messages before that must be equal, and the rest cannot be compared.
func after(rule *wire.Error) func(c *comparison) bool {
	return func(c *comparison) bool {
		n := len(c.ours.Messages)
		return c.ours.broke(rule) && len(c.theirs.Messages) >= n && slices.Equal(c.theirs.Messages[:n], c.ours.Messages)
	}
}

// Explain returns the name of the difference that explains why the peer makes
// another thing of the stream than fibersock, "" if it makes the same. known is
// false if none does.
func Explain(peer Peer, stream []byte) (name string, ours, theirs Outcome, known bool) {
	c := &comparison{stream: stream, peer: peer, ours: Ours(stream), theirs: peer.Decode(slices.Clone(stream))}
	if c.ours.same(c.theirs) {
		return "", c.ours, c.theirs, true
	}
	for _, d := range Differences {
		if (d.Peer == "" || d.Peer == peer.Name) && d.explains(c) {
			return d.Name, c.ours, c.theirs, true
		}
	}
	return "", c.ours, c.theirs, false
}
