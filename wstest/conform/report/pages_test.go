package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest/conform"
)

// An element is a start tag of a page.
type element struct {
	name  string
	attrs map[string]string
}

// has reports whether one of the element's classes is class.
func (e element) has(class string) bool {
	return slices.Contains(strings.Fields(e.attrs["class"]), class)
}

// A page is the tree of a page.
type page struct {
	elements []element
	text     string // of all elements but style and script, with single spaces
}

// parsePage parses the HTML of our templates, which is XML with entities.
func parsePage(t *testing.T, source string) page {
	t.Helper()
	raw := regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`)
	d := xml.NewDecoder(strings.NewReader(raw.ReplaceAllString(source, "<$1/>")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var p page
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			p.text = strings.Join(strings.Fields(text.String()), " ")
			return p
		}
		check.Mustf(t, err, "the page is not well-formed")
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			p.elements = append(p.elements, e)
			text.WriteByte(' ')
		case xml.EndElement:
			text.WriteByte(' ')
		case xml.CharData:
			text.Write(token)
		}
	}
}

// all returns the elements of a name, with a class if it is not "".
func (p page) all(name, class string) []element {
	var found []element
	for _, e := range p.elements {
		if e.name == name && (class == "" || e.has(class)) {
			found = append(found, e)
		}
	}
	return found
}

func (p page) wantText(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.text, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

func TestIndexPageShowsEachCaseWithEachAgent(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{
		"first":  {result("1.1.1"), broken("2.10"), result("2.9")},
		"second": {result("2.9")},
	})
	p := parsePage(t, read(t, dir, "index.html"))

	var ids []string
	for _, row := range p.all("tr", "") {
		if id := row.attrs["id"]; id != "" {
			ids = append(ids, id)
			want := "ok ok ok ok"
			switch id {
			case "case_1_1_1":
				want = "ok ok"
			case "case_2_10":
				want = "failed wrong-code"
			}
			check.Equal(t, row.attrs["data-v"], want, "%s: the filter sees", id)
		}
	}
	check.Slices(t, ids, []string{"case_1_1_1", "case_2_9", "case_2_10"}, "the rows")
	var classes []string
	for _, body := range p.all("tbody", "") {
		classes = append(classes, body.attrs["id"])
	}
	check.Slices(t, classes, []string{"class-1", "class-2"}, "the classes")
	p.wantText(t, "2 implementations", "Ping and Pong", "not run", "first: A Pong came, where nothing was expected.",
		"2 of 3 cases OK", "1 of 1 cases OK")
}

// Only OK counts as OK: 216 cases that were UNIMPLEMENTED counted, too.
func TestScoreCountsOnlyOK(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	var results []*conform.Result
	for i, v := range verdicts {
		r := result(fmt.Sprintf("1.1.%d", i+1))
		r.Behavior = v
		results = append(results, r)
	}
	check.Must(t, WriteDir(dir, map[string][]*conform.Result{"a": results}, Info{}))
	parsePage(t, read(t, dir, "index.html")).wantText(t, fmt.Sprintf("1 of %d cases OK", len(verdicts)))
}

// The card of a client that left after 222 of 247 cases was green.
func TestCasesThatWereNotRunAreShown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	err := WriteDir(dir, map[string][]*conform.Result{"a": {result("1.1.1"), result("1.1.2")}, "b": {result("1.1.1"), result("1.1.2"), result("1.1.3")}}, Info{Selected: 3})
	check.Must(t, err)
	p := parsePage(t, read(t, dir, "index.html"))
	p.wantText(t, "1 of 3 cases were not run")
	if bars := p.all("rect", "not-run"); len(bars) != 1 || len(p.all("p", "missing")) != 1 {
		t.Errorf("%d of the bars have a part for cases that were not run, want 1", len(bars))
	}
}

// The heading of a class counted the verdicts on behavior alone.
func TestHeadingsOfClassesCountClosingHandshakes(t *testing.T) {
	unclean := result("2.2")
	unclean.BehaviorClose = conform.Unclean
	dir := write(t, map[string][]*conform.Result{"a": {result("1.1.1"), result("2.1"), unclean}})
	p := parsePage(t, read(t, dir, "index.html"))
	p.wantText(t, "1.* Framing 1 OK 1.1.1", "2.* Ping and Pong 2 OK; closing handshake: 1 UNCLEAN 2.1")
}

// The pages name the RFC's section, the flags, and whose Close came first.
func TestPagesTellSectionFlagsAndWhoClosed(t *testing.T) {
	r := broken("13.2.1")
	r.Case.Section, r.Flags, r.Again = "RFC 7692, 7.1.1", []string{"the answer is without it"}, true
	r.LocalClose, r.RemoteClose = &conform.CloseInfo{Code: 1007}, &conform.CloseInfo{Code: 1007}
	r.ClosedByMe, r.FailedByMe, r.RemoteFirst = true, true, false
	illegal := broken("3.1")
	illegal.LocalClose, illegal.RemoteClose = &conform.CloseInfo{Code: 1002}, &conform.CloseInfo{Code: 1006}
	illegal.ClosedByMe, illegal.FailedByMe = true, true
	dir := write(t, map[string][]*conform.Result{"a": {r, illegal}})
	p := parsePage(t, read(t, dir, "a_case_13_2_1.html"))
	p.wantText(t, "About RFC 7692, 7.1.1", "Flagged. The answer is without it.", "Judged again, alone",
		"The peer's Close 1007, in answer to the judge's", "First Close frame from the judge, which failed the connection")
	parsePage(t, read(t, dir, "a_case_3_1.html")).wantText(t, "First Close frame from the peer, but an illegal one")
	parsePage(t, read(t, dir, "index.html")).wantText(t, "RFC 7692, 7.1.1", "Flagged: the answer is without it.", "1 flagged")
}

func TestLinksOfAReportLeadSomewhere(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{
		"first":  {result("1.1.1"), broken("2.10"), hostileResult("2.9")},
		hostile:  {result("2.9"), long("9.1.1")},
		"second": {result("2.9")},
	})
	files := filesIn(t, dir)
	ids := map[string][]string{}
	links := 0
	for _, name := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, e := range parsePage(t, read(t, dir, name)).elements {
			if id := e.attrs["id"]; id != "" {
				if slices.Contains(ids[name], id) {
					t.Errorf("%s has the id %q twice", name, id)
				}
				ids[name] = append(ids[name], id)
			}
		}
	}
	for name := range ids {
		for _, a := range parsePage(t, read(t, dir, name)).all("a", "") {
			links++
			file, anchor, _ := strings.Cut(a.attrs["href"], "#")
			if file == "" {
				file = name
			}
			if !slices.Contains(files, file) || anchor != "" && !slices.Contains(ids[file], anchor) {
				t.Errorf("%s has a link to %q", name, a.attrs["href"])
			}
		}
	}
	if links == 0 {
		t.Error("there are no links")
	}
}

func TestCasePageTellsTheWholeStory(t *testing.T) {
	r := broken("2.10")
	r.Omitted, r.LogHead, r.DroppedByMe, r.DropTimeout = 1234, 2, true, true
	dir := write(t, map[string][]*conform.Result{"a": {result("2.9"), r, result("2.11")}})
	p := parsePage(t, read(t, dir, "a_case_2_10.html"))
	p.wantText(t,
		"Case 2.10", "FAILED", "A Pong came, where nothing was expected.", "WRONG CODE", `status code was 1001 with the reason "going", not 1002.`,
		"A text message of 125 octets in one frame.", "The same message comes back",
		"The first difference is at event 1: at offset 12 expected octet 0x21, came 0x3f.",
		"First Close frame from the peer from the peer, or it ends TCP",
		"The judge's Close none", `The peer's Close 1001, reason "going" 1002 or no status code`,
		"Clean no: TCP ended before the judge's Close need not be",
		"End of TCP the peer ended TCP; the judge ended it, where the peer should have",
		"Too late the server did not end TCP in time",
		"1234 entries are left out here", "timer waiting 500ms", "MASK 4af4d75d", "Hello, world!",
		"GET / HTTP/1.1", "HTTP/1.1 101 Switching Protocols",
		"Sent by the judge: 27 octets", "15 octets 1", "Close 1",
	)
	if marked := len(p.all("td", "differs")); marked != 2 {
		t.Errorf("%d events are marked, want the expected one and the one that came", marked)
	}
	var next []string
	for _, a := range p.all("a", "") {
		if a.attrs["rel"] != "" {
			next = append(next, a.attrs["rel"]+" "+a.attrs["href"])
		}
	}
	check.Slices(t, next, []string{"prev a_case_2_9.html", "next a_case_2_11.html"}, "the neighbors")
}

func TestFrameHeaderIsNamed(t *testing.T) {
	for _, c := range []struct {
		frame conform.FrameInfo
		want  string
	}{
		{conform.FrameInfo{Opcode: 1, Fin: true, RSV: 4}, "Text FIN RSV1"},
		{conform.FrameInfo{Opcode: 0, RSV: 3}, "Continuation RSV2 RSV3"},
		{conform.FrameInfo{Opcode: 9, Fin: true, Masked: true, Key: [4]byte{0, 0, 0, 1}}, "Ping FIN 00000001"},
		{conform.FrameInfo{Opcode: 11, Fin: true}, "opcode 11, reserved FIN"},
	} {
		v := newFrameView(conform.LogEntry{Frame: &c.frame})
		got := []string{v.Opcode}
		for _, b := range v.Bits {
			if b.Set {
				got = append(got, b.Name)
			}
		}
		if v.Key != "" {
			got = append(got, v.Key)
		}
		check.Equal(t, strings.Join(got, " "), c.want, "")
	}
}

func TestCloseFrameShowsItsStatusCodeAndReason(t *testing.T) {
	for _, c := range []struct {
		payload, status, reason string
		size                    string
	}{
		{"", "", "", "0 octets"},
		{"a", "", "a", "1 octet"},
		{"\x03\xea", "1002", "", "2 octets"},
		{"\x03\xeabad", "1002", "bad", "5 octets"},
	} {
		v := newFrameView(rxFrame(0, 8, c.payload))
		if v.Status != c.status || v.Payload.Text != c.reason || v.Payload.Amount != c.size {
			t.Errorf("%q: got status %q, reason %q, %s", c.payload, v.Status, v.Payload.Text, v.Payload.Amount)
		}
	}
}

// Text of a peer must not become an element, an attribute or a script of a page, nor change its style.
func TestHostileTextInPagesIsText(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{hostile: {hostileResult("1.1.1")}, "other": {hostileResult("1.1.1")}})
	for _, name := range filesIn(t, dir) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		source := read(t, dir, name)
		if strings.ContainsAny(source, "\x1b\u202e") {
			t.Errorf("%s contains characters that do not print", name)
		}
		p := parsePage(t, source)
		p.wantText(t, "<img src=x onerror=alert(1)>")
		scripts := 0
		for _, e := range p.elements {
			switch e.name {
			case "img", "iframe", "object", "form", "base":
				t.Errorf("%s has an element %s", name, e.name)
			case "script":
				scripts++
			}
			for attr := range e.attrs {
				if strings.HasPrefix(attr, "on") || attr == "style" {
					t.Errorf("%s has an attribute %s", name, attr)
				}
			}
		}
		check.Equal(t, scripts, strings.Count(name, "index.html"), "%s", name)
	}
}

func TestPagesNeedNothingFromOutside(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{"a": {result("1.1.1")}})
	outside := regexp.MustCompile(`(?i)https?://|url\(|@import|src=`)
	for _, name := range []string{"index.html", "a_case_1_1_1.html"} {
		source := read(t, dir, name)
		check.Equal(t, outside.FindString(source), "", "%s contains", name)
		style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(source)
		if style == nil || !strings.Contains(policyOf(t, source), sourceHash(style[1])) {
			t.Errorf("the policy of %s does not allow its own style", name)
		}
		script := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindStringSubmatch(source)
		if script != nil && !strings.Contains(policyOf(t, source), sourceHash(script[1])) {
			t.Errorf("the policy of %s does not allow its own script", name)
		}
	}
}

// policyOf returns the Content Security Policy of a page.
func policyOf(t *testing.T, source string) string {
	t.Helper()
	for _, meta := range parsePage(t, source).all("meta", "") {
		if meta.attrs["http-equiv"] == "Content-Security-Policy" {
			return meta.attrs["content"]
		}
	}
	t.Error("the page has no policy")
	return ""
}

func TestReasonsAreSentencesOnPages(t *testing.T) {
	for _, c := range []struct{ why, want string }{
		{"", ""},
		{"the peer closed with 1000", "The peer closed with 1000."},
		{`the peer closed with 1007 "bad"`, `The peer closed with 1007 "bad".`},
		{"Nothing came.", "Nothing came."},
		{"élan\x00", `Élan\x00.`},
	} {
		check.Equal(t, sentence(c.why), c.want, "")
	}
}

func TestBarHasAShareForEachVerdict(t *testing.T) {
	bar := bar([]verdictCount{{newBadge(conform.OK), 516}, {newBadge(conform.NonStrict), 1}, {newBadge(conform.Failed), 1}}, 518)
	x := 0
	for _, s := range bar {
		if s.X != x || s.Width < 8 {
			t.Errorf("%s: from %d, %d wide, after %d", s.Slug, s.X, s.Width, x)
		}
		x += s.Width
	}
	if x != 1000 {
		t.Errorf("the bar is %d long", x)
	}
}

func TestRunIsDescribed(t *testing.T) {
	agents := agentsOf(map[string][]*conform.Result{"a": {result("1.1.1")}})
	text := func(info Info) string {
		var parts []string
		for _, f := range runFacts(agents, info, 1) {
			parts = append(parts, f.Label+" "+f.Value)
		}
		return strings.Join(parts, "; ")
	}
	check.Equal(t, text(Info{}), "Under test as a server; Cases 1; Started 4 March 2026, 09:30:00 UTC", "")
	all := Info{Role: conform.Client, Started: began.Add(time.Hour), Cases: "1.1.*", Judge: "fibersock v1"}
	check.Equal(t, text(all), "Under test as a client; Cases 1: 1.1.*; Started 4 March 2026, 10:30:00 UTC; Judge fibersock v1", "")
}

func TestManyChunkSizesAreSummedUp(t *testing.T) {
	v := newTrafficView("", "", long("9.1.1").Rx)
	if len(v.Sizes) != maxSizes+1 || v.Sizes[maxSizes].What != "24 other sizes" {
		t.Errorf("got %v", v.Sizes)
	}
	total := 0
	for _, s := range v.Sizes {
		n, err := strconv.Atoi(s.Count)
		check.Must(t, err)
		total += n
	}
	if total != 40*41/2 {
		t.Errorf("the counts add up to %d", total)
	}
}
