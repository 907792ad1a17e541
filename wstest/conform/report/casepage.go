package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/wstest/conform"
)

// casePage is the page of one case with one agent.
type casePage struct {
	frameOfPage
	ID, Anchor   string
	Class, About string
	Agent, Role  string
	Prev, Next   *caseLink
	Others       []caseLink // the same case with other agents

	Behavior, Close     *badge
	Why, WhyClose       string
	Flags               []string
	Description, Expect string
	Facts               []fact
	Events              eventTable
	Closing             []closingRow
	Request, Response   string
	Tx, Rx              trafficView
	Log                 []logRow
}

type caseLink struct {
	Href            string
	Text            string
	Behavior, Close *badge
}

// A closingRow is a fact about the closing handshake.
type closingRow struct {
	What, Was, Expected string
}

// newCasePage returns the page of the agent's i-th result.
func newCasePage(agents []*agent, a *agent, i int) *casePage {
	r := a.results[i]
	id := r.Case.ID
	p := &casePage{
		frameOfPage: newFrameOfPage("Case "+id+" with "+a.shown, ""),
		ID:          id,
		Anchor:      anchor(id),
		Class:       classOf(id),
		About:       classTitle(classOf(id)),
		Agent:       a.shown,
		Role:        string(r.Role),
		Behavior:    newBadge(r.Behavior),
		Close:       newBadge(r.BehaviorClose),
		Why:         sentence(r.Why),
		WhyClose:    sentence(r.WhyClose),
		Flags:       sentences(r.Flags),
		Description: r.Case.Description,
		Expect:      r.Case.Expectation,
		Facts:       resultFacts(r),
		Events:      newEventTable(r.Case.Expected, r.Received),
		Closing:     closingRows(r),
		Request:     visible(r.Request),
		Response:    visible(r.Response),
		Tx:          newTrafficView("Sent by the judge", "Written at once", r.Tx),
		Rx:          newTrafficView("Came from the peer", "Read at once", r.Rx),
		Log:         newLog(r),
	}
	if i > 0 {
		p.Prev = newCaseLink(a, i-1)
	}
	if i+1 < len(a.results) {
		p.Next = newCaseLink(a, i+1)
	}
	for _, other := range agents {
		if at, found := slices.BinarySearchFunc(other.results, id, compareResultToID); found && other != a {
			link := newCaseLink(other, at)
			link.Text = other.shown
			p.Others = append(p.Others, *link)
		}
	}
	return p
}

func compareResultToID(r *conform.Result, id string) int { return compareIDs(r.Case.ID, id) }

func newCaseLink(a *agent, i int) *caseLink {
	r := a.results[i]
	return &caseLink{
		Href:     caseFile(a.base, r.Case.ID) + ".html",
		Text:     r.Case.ID,
		Behavior: newBadge(r.Behavior),
		Close:    newBadge(r.BehaviorClose),
	}
}

func resultFacts(r *conform.Result) []fact {
	facts := appendFact(nil, "About", plain(r.Case.Section))
	facts = appendFact(facts, "Started", timestamp(r.Started))
	if r.Again {
		facts = append(facts, fact{"Judged", "again, alone, as it had not passed among others"})
	}
	facts = append(facts, fact{"Open for", readable(r.Duration)})
	if r.Measured > 0 {
		facts = append(facts, fact{"Measured", readable(r.Measured)})
	}
	return appendFact(facts, "Compression", plain(r.Extension))
}

// closingRows returns the facts about the end of the connection, beside the
// expected ones.
func closingRows(r *conform.Result) []closingRow {
	expected := r.Case.Close
	rows := []closingRow{
		{"First Close frame", firstClose(r), expectedCloser(expected)},
		{"The judge's Close", closeText(r.LocalClose), ""},
		{"The peer's Close", peersClose(r), expectedCodes(expected)},
		{"Clean", cleanText(r), expectedClean(expected)},
	}
	if end := endOfTCP(r); end != "" {
		rows = append(rows, closingRow{"End of TCP", end, ""})
	}
	for _, late := range []struct {
		was  bool
		what string
	}{
		{r.OpenTimeout, "the opening handshake took too long"},
		{r.CloseTimeout, "the peer's Close did not come in time"},
		{r.DropTimeout, "the server did not end TCP in time"},
	} {
		if late.was {
			rows = append(rows, closingRow{"Too late", late.what, ""})
		}
	}
	return rows
}

func firstClose(r *conform.Result) string {
	switch {
	case r.RemoteFirst && r.ClosedByMe:
		return "from the peer, but an illegal one, which does not count"
	case r.ClosedByMe && r.FailedByMe:
		return "from the judge, which failed the connection"
	case r.ClosedByMe:
		return "from the judge"
	case r.RemoteClose != nil:
		return "from the peer"
	}
	return "none, TCP ended without one"
}

// peersClose is closeText of the peer's Close, which may be an answer.
func peersClose(r *conform.Result) string {
	text := closeText(r.RemoteClose)
	if r.RemoteClose != nil && !r.RemoteFirst {
		text += ", in answer to the judge's"
	}
	return text
}

func expectedCloser(c conform.ExpectedClose) string {
	if c.ByMe {
		return "from the judge"
	}
	return "from the peer, or it ends TCP"
}

func closeText(c *conform.CloseInfo) string {
	switch {
	case c == nil:
		return "none"
	case c.Code < 0:
		return "no status code"
	case c.Reason == "":
		return strconv.Itoa(c.Code)
	}
	return fmt.Sprintf("%d, reason %s", c.Code, quoted(c.Reason))
}

func expectedCodes(c conform.ExpectedClose) string {
	var codes []string
	for _, code := range c.Codes {
		codes = append(codes, strconv.Itoa(code))
	}
	return strings.Join(append(codes, "no status code"), " or ")
}

func cleanText(r *conform.Result) string {
	switch {
	case r.WasClean:
		return "yes"
	case r.NotClean != "":
		return "no: " + plain(r.NotClean)
	}
	return "no"
}

func expectedClean(c conform.ExpectedClose) string {
	if c.Clean {
		return "yes"
	}
	return "need not be"
}

// endOfTCP returns the side that ended TCP, from the log, and whether the peer
// should have ended it.
func endOfTCP(r *conform.Result) string {
	var parts []string
	for _, e := range r.Log {
		if e.Kind == conform.LogEndOfTCP {
			parts = append(parts, plain(e.Text))
		}
	}
	if r.CloseTimeout || r.DropTimeout {
		parts = append(parts, "the judge ended it, where the peer should have")
	}
	return strings.Join(parts, "; ")
}

// A trafficView is the traffic of one direction.
type trafficView struct {
	Title  string
	Chunks string // the name of a chunk in this direction
	Octets string
	Sizes  []countRow
	Frames []countRow
}

type countRow struct {
	What  string
	Count string
}

// maxSizes is the number of chunk sizes that are listed. The rest is summed up.
const maxSizes = 16

func newTrafficView(title, chunks string, t conform.Traffic) trafficView {
	v := trafficView{Title: title, Chunks: chunks, Octets: octets(int(t.Octets))}
	for _, opcode := range slices.Sorted(maps.Keys(t.Frames)) {
		v.Frames = append(v.Frames, countRow{opcodeName(opcode), grouped(t.Frames[opcode])})
	}
	sizes := slices.Sorted(maps.Keys(t.OctetsBySize))
	more := 0
	for i, size := range sizes {
		if n := t.OctetsBySize[size]; i < maxSizes {
			v.Sizes = append(v.Sizes, countRow{octets(size), grouped(n)})
		} else {
			more += n
		}
	}
	if more > 0 {
		v.Sizes = append(v.Sizes, countRow{fmt.Sprintf("%d other sizes", len(sizes)-maxSizes), grouped(more)})
	}
	return v
}
