package conform

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Case is a case of the suite.
type Case struct {
	ID          string // such as "6.4.1"
	Index       int    // among all cases, from 1
	Description string // of the judge's input
	Expectation string // of a good peer's reaction
	Section     string // of the RFC with the rule, such as "RFC 6455, 5.2"

	Expected []Alternative // the accepted lists of events, the best first; nil if the case judges by itself
	Close    ExpectedClose

	script []step
	play   func(*session) // starts a case that has no script

	closesLater   bool // the script or play sends a Close; no Close follows the expected events
	codeMatters   bool // a wrong status code in the peer's Close fails the behavior, too
	informational bool
	compression   *compression // the offer or answer in the opening handshake
	measures      bool         // the case measures time: no other may run
}

// A step is an action of a script. It returns the wait after it, nil for none.
type step func(*session) *wait

// A wait ends after time, if the connection is open. A tag that is not empty
// becomes an event.
type wait struct {
	time time.Duration
	tag  string
}

// Class returns the part of the ID before the first dot: "6" of "6.4.1".
func (c *Case) Class() string {
	class, _, _ := strings.Cut(c.ID, ".")
	return class
}

// closesByItself reports whether the judge closes after the last expected
// event.
func (c *Case) closesByItself() bool {
	return c.Close.ByMe && !c.closesLater && len(c.Expected) == 1
}

// Cases returns all cases in the order of their ids, compared as numbers.
func Cases() []*Case { return slices.Clone(allCases()) }

var allCases = sync.OnceValue(func() []*Case {
	all := slices.Concat(
		framingCases(),
		pingCases(),
		reservedBitCases(),
		opcodeCases(),
		fragmentationCases(),
		utf8Cases(),
		closeCases(),
		limitCases(),
		autoFragmentationCases(),
		compressionCases(),
	)
	slices.SortFunc(all, func(a, b *Case) int { return compareIDs(a.ID, b.ID) })
	for i, c := range all {
		c.Index, c.Section = i+1, sectionOf(c.ID)
	}
	return all
})

func compareIDs(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	return slices.CompareFunc(x, y, func(a, b string) int {
		m, _ := strconv.Atoi(a)
		n, _ := strconv.Atoi(b)
		return cmp.Compare(m, n)
	})
}

// Select returns the cases that match a pattern of only, by default all, and no
// pattern of except. A pattern is an ID, in which "*" matches any text. A
// pattern that matches no case is an error.
func Select(only, except []string) ([]*Case, error) {
	if len(only) == 0 {
		only = []string{"*"}
	}
	in, err := matching(only)
	if err != nil {
		return nil, err
	}
	out, err := matching(except)
	if err != nil {
		return nil, err
	}
	var selected []*Case
	for _, c := range allCases() {
		if in[c] && !out[c] {
			selected = append(selected, c)
		}
	}
	return selected, nil
}

func matching(patterns []string) (map[*Case]bool, error) {
	set := make(map[*Case]bool)
	for _, p := range patterns {
		expr := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
		n := 0
		for _, c := range allCases() {
			if expr.MatchString(c.ID) {
				set[c] = true
				n++
			}
		}
		if n == 0 {
			return nil, fmt.Errorf("no case matches %.100q", p)
		}
	}
	return set, nil
}

// The values of ExpectedClose.
var (
	// normally: the judge closes after the expected events.
	normally = ExpectedClose{ByMe: true, Codes: []int{1000}, Clean: true}
	// failing: the peer fails the connection.
	failing = ExpectedClose{Codes: []int{1002}}
	// failingUTF8: the peer fails the connection because of invalid UTF-8.
	failingUTF8 = ExpectedClose{Codes: []int{1007}, WrongSideFatal: true}
	// refusing: the judge sends a Close that is illegal.
	refusing = ExpectedClose{ByMe: true, Codes: []int{1002}}
)

// ok returns events as the only accepted list.
func ok(events ...Event) []Alternative {
	return []Alternative{{Verdict: OK, Events: events}}
}

// okOr returns events as the best list, and late as an accepted one.
func okOr(late []Event, events ...Event) []Alternative {
	return append(ok(events...), Alternative{Verdict: NonStrict, Events: late})
}

func textEvent(p string) Event {
	return Event{Kind: EventMessage, Payload: []byte(p), Size: len(p)}
}

func binaryEvent(p string) Event {
	return Event{Kind: EventMessage, Binary: true, Payload: []byte(p), Size: len(p)}
}

func pongEvent(p string) Event {
	return Event{Kind: EventPong, Payload: []byte(p), Size: len(p)}
}

func timeoutEvent(tag string) Event { return Event{Kind: EventTimeout, Tag: tag} }

func sameEvents(a, b []Event) bool {
	return slices.EqualFunc(a, b, func(a, b Event) bool {
		return a.Kind == b.Kind && a.Binary == b.Binary && a.Tag == b.Tag && a.Size == b.Size && bytes.Equal(a.Payload, b.Payload)
	})
}

// full returns an unfragmented message.
func full(opcode int, payload string) frame {
	return frame{opcode: opcode, fin: true, payload: []byte(payload)}
}

// part returns a fragment other than the last.
func part(opcode int, payload string) frame {
	return frame{opcode: opcode, payload: []byte(payload)}
}

// reserved returns a frame with reserved bits set.
func reserved(rsv, opcode int, payload string) frame {
	f := full(opcode, payload)
	f.rsv = rsv
	return f
}

func send(frames ...frame) step { return sendIn(whole, frames...) }

func sendIn(c pacing, frames ...frame) step {
	return func(s *session) *wait { s.sendIn(c, frames...); return nil }
}

func sendClose(payload []byte) step {
	return func(s *session) *wait { s.sendClose(payload); return nil }
}

func kill(d time.Duration) step {
	return func(s *session) *wait { s.kill(d); return nil }
}

func closeIn(d time.Duration) step {
	return func(s *session) *wait { s.closeIn(d); return nil }
}

func later(d time.Duration, tag string) step {
	return func(*session) *wait { return &wait{d, tag} }
}
