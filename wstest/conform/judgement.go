package conform

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxKept is the number of bytes of a payload that a result keeps.
const maxKept = 4 << 10

// result judges a session that has ended.
func (s *session) result(h hello, agent string, tested Role) *Result {
	r := &Result{
		Case: s.c, Agent: agent, Role: tested,
		Started: s.opened, Duration: s.at(), Measured: s.measured,
		Received:    s.received,
		RemoteFirst: s.remoteFirst, ClosedByMe: s.closedByMe, FailedByMe: s.failedByMe, DroppedByMe: s.droppedByMe,
		WasClean: s.wasClean, NotClean: s.notClean,
		LocalClose: s.local, RemoteClose: s.remote,
		CloseTimeout: s.closeTimedOut, DropTimeout: s.dropTimedOut,
		Request: h.request, Response: h.response,
		Tx: s.log.tx, Rx: s.log.rx,
	}
	if s.deflate != nil {
		r.Extension, r.Flags = s.deflate.header, s.deflate.flags
	}
	r.BehaviorClose, r.WhyClose = s.judgeClose()
	r.Behavior, r.Why = s.judgeBehavior(r.BehaviorClose)
	if s.c.informational {
		r.BehaviorClose = Informational
	}
	r.Log, r.Omitted = s.log.entries(), s.log.omitted
	if r.Omitted > 0 {
		r.LogHead = logHead
	}
	for i, e := range r.Received {
		r.Received[i].Payload = e.Payload[:min(len(e.Payload), maxKept)]
	}
	return r
}

// neverOpen is the result of a case whose opening handshake did not succeed.
func neverOpen(c *Case, agent string, tested Role, h hello, err error) *Result {
	why := "the opening handshake failed: " + err.Error()
	return &Result{
		Case: c, Agent: agent, Role: tested,
		Behavior: Failed, BehaviorClose: Failed, Why: why, WhyClose: why, NotClean: why,
		OpenTimeout: h.timedOut, Request: h.request, Response: h.response,
		Log: []LogEntry{{Kind: LogNote, Text: why}},
	}
}

// judgeBehavior returns the verdict on the events.
func (s *session) judgeBehavior(closing Verdict) (Verdict, string) {
	verdict, why := s.verdict, s.why
	if s.c.play == nil {
		verdict, why = s.judgeEvents()
	} else if verdict == "" {
		verdict = Failed
		if why == "" {
			why = "the connection ended before all had come back"
		}
	}
	switch {
	case s.c.informational:
		return Informational, "there is no right and wrong here; what came: " + describeEvents(s.received)
	case s.broken != "" && s.verdict != Failed: // else the case failed for another reason
		return Failed, "the peer broke a rule: " + s.broken
	case verdict.Broken():
	case s.c.codeMatters && closing == WrongCode:
		return Failed, "the events are right, but the status code in the peer's Close is wrong"
	case s.c.Close.WrongSideFatal && s.closedByMe != s.c.Close.ByMe:
		return Failed, "the events are right, but the peer did not fail the connection"
	}
	return verdict, why
}

func (s *session) judgeEvents() (Verdict, string) {
	for _, a := range s.c.Expected {
		if !sameEvents(s.received, a.Events) {
			continue
		}
		if a.Verdict == OK {
			return OK, "came as expected: " + describeEvents(s.received)
		}
		return a.Verdict, fmt.Sprintf("%s came, which is not wrong; the best is %s", describeEvents(s.received), describeEvents(s.c.Expected[0].Events))
	}
	return Failed, fmt.Sprintf("%s came, not %s", describeEvents(s.received), describeEvents(s.c.Expected[0].Events))
}

// judgeClose returns the verdict on the closing handshake.
func (s *session) judgeClose() (Verdict, string) {
	want := s.c.Close
	switch {
	case want.ByMe && !s.closedByMe:
		if s.remote == nil {
			return Failed, "the peer ended TCP, though it had no reason to"
		}
		return Failed, fmt.Sprintf("the peer closed, with %s, though it had no reason to", s.remote)
	case !want.ByMe && s.closedByMe:
		return Failed, "the peer did not fail the connection; " + s.whyClosed()
	case want.Clean && !s.wasClean:
		return Unclean, s.notClean
	case s.badClose != "":
		return WrongCode, "the peer's Close is illegal: " + s.badClose
	case s.remote != nil && s.remote.Code != noCode && !slices.Contains(want.Codes, s.remote.Code):
		return WrongCode, fmt.Sprintf("%s, not with %s", s.peersClose(), strings.Join(codeList(want.Codes), " or "))
	case s.role == Client && s.droppedByMe:
		return FailedByClient, "the judge had to end TCP: " + s.whyDropped
	case s.remote == nil && s.droppedByMe:
		return OK, "the judge ended TCP: " + s.notClean
	case s.remote == nil:
		return OK, "the peer ended TCP"
	}
	return OK, s.peersClose()
}

// whyClosed tells why the judge closed a connection that the peer should have
// failed.
func (s *session) whyClosed() string {
	switch {
	case s.remoteFirst:
		return fmt.Sprintf("its Close with %s is illegal, and the judge answered it with %s", s.remote, s.local)
	case s.broken != "":
		return fmt.Sprintf("the judge did, with %s, for the rule that the peer broke", codeText(s.local.Code))
	}
	return fmt.Sprintf("the judge closed it, with %s", s.local)
}

// peersClose describes the peer's Close.
func (s *session) peersClose() string {
	if s.remoteFirst {
		return fmt.Sprintf("the peer closed with %s", s.remote)
	}
	return fmt.Sprintf("the peer answered the judge's Close (%s) with %s", codeText(s.local.Code), s.remote)
}

func codeList(codes []int) []string {
	var list []string
	for _, code := range codes {
		list = append(list, codeText(code))
	}
	return list
}

func codeText(code int) string {
	if code == noCode {
		return "no code"
	}
	return strconv.Itoa(code)
}

// String returns the code, and the reason if there is one.
func (c *CloseInfo) String() string {
	if c.Code == noCode || c.Reason == "" {
		return codeText(c.Code)
	}
	return fmt.Sprintf("%d %.64q", c.Code, c.Reason)
}

// describeEvents describes events in a few words.
func describeEvents(events []Event) string {
	if len(events) == 0 {
		return "nothing"
	}
	const most = 12
	var all []string
	for i, e := range events {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(events)-most))
			break
		}
		all = append(all, e.String())
	}
	return strings.Join(all, ", ")
}

// String describes the event with the first bytes of its payload.
func (e Event) String() string {
	const shown = 32
	payload := fmt.Sprintf("%q", e.Payload[:min(len(e.Payload), shown)])
	if e.Size > shown {
		payload += fmt.Sprintf(" and %d more bytes", e.Size-shown)
	}
	switch {
	case e.Kind == EventTimeout:
		return "timeout " + e.Tag
	case e.Kind == EventPong:
		return "pong " + payload
	case e.Binary:
		return "binary " + payload
	}
	return "text " + payload
}
