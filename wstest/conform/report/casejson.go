package report

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/fibersock/fibersock/wstest/conform"
)

// indexEntry is a case in index.json. The fields are in the order of their
// names, as in the suite.
type indexEntry struct {
	Behavior        conform.Verdict `json:"behavior"`
	BehaviorClose   conform.Verdict `json:"behaviorClose"`
	Duration        int64           `json:"duration"` // milliseconds
	RemoteCloseCode *int            `json:"remoteCloseCode"`
	ReportFile      string          `json:"reportfile"`
}

// index returns the content of index.json.
func index(agents []*agent) map[string]map[string]indexEntry {
	all := map[string]map[string]indexEntry{}
	for _, a := range agents {
		cases := map[string]indexEntry{}
		for _, r := range a.results {
			cases[r.Case.ID] = indexEntry{
				Behavior:        r.Behavior,
				BehaviorClose:   r.BehaviorClose,
				Duration:        r.Duration.Milliseconds(),
				RemoteCloseCode: closeCode(r.RemoteClose),
				ReportFile:      caseFile(a.base, r.Case.ID) + ".json",
			}
		}
		all[a.name] = cases
	}
	return all
}

// caseJSON returns the content of a case's file: the suite's keys, and
// additionally "role", "section" (of the RFCs), "flags", "again" (the case was
// judged twice), "measured" (milliseconds), "extension" and "notes" (rows of
// milliseconds, kind and text). The suite's "trafficStats" is always null,
// because the judge does not count it.
func caseJSON(r *conform.Result) map[string]any {
	return map[string]any{
		"agent":                  r.Agent,
		"case":                   r.Case.Index,
		"id":                     r.Case.ID,
		"description":            r.Case.Description,
		"expectation":            r.Case.Expectation,
		"started":                r.Started.UTC().Format("2006-01-02T15:04:05.000Z"),
		"duration":               r.Duration.Milliseconds(),
		"reportTime":             r.Measured > 0,
		"reportCompressionRatio": classOf(r.Case.ID) == "12" || classOf(r.Case.ID) == "13",

		"behavior":      r.Behavior,
		"behaviorClose": r.BehaviorClose,
		"expected":      expectedEvents(r.Case.Expected),
		"expectedClose": expectedClose(r.Case.Close),
		"received":      eventRows(r.Received),
		"result":        r.Why,
		"resultClose":   r.WhyClose,

		"closedByMe":                     r.ClosedByMe,
		"failedByMe":                     r.FailedByMe,
		"droppedByMe":                    r.DroppedByMe,
		"wasClean":                       r.WasClean,
		"wasNotCleanReason":              orNull(r.NotClean),
		"wasServerConnectionDropTimeout": r.DropTimeout,
		"wasOpenHandshakeTimeout":        r.OpenTimeout,
		"wasCloseHandshakeTimeout":       r.CloseTimeout,
		"localCloseCode":                 closeCode(r.LocalClose),
		"localCloseReason":               closeReason(r.LocalClose),
		"remoteCloseCode":                closeCode(r.RemoteClose),
		"remoteCloseReason":              closeReason(r.RemoteClose),

		"isServer":      r.Role == conform.Client, // the role of the judge
		"httpRequest":   r.Request,
		"httpResponse":  r.Response,
		"createStats":   true,
		"rxOctetStats":  orEmpty(r.Rx.OctetsBySize),
		"rxFrameStats":  orEmpty(r.Rx.Frames),
		"txOctetStats":  orEmpty(r.Tx.OctetsBySize),
		"txFrameStats":  orEmpty(r.Tx.Frames),
		"trafficStats":  nil,
		"createWirelog": true,
		"wirelog":       wireRows(r),

		"role":      r.Role,
		"section":   r.Case.Section,
		"flags":     append([]string{}, r.Flags...),
		"again":     r.Again,
		"measured":  r.Measured.Milliseconds(),
		"extension": orNull(r.Extension),
		"notes":     noteRows(r.Log),
	}
}

// expectedEvents returns the accepted lists of events by their verdict.
func expectedEvents(alternatives []conform.Alternative) map[conform.Verdict][][]any {
	lists := map[conform.Verdict][][]any{}
	for _, a := range alternatives {
		lists[a.Verdict] = eventRows(a.Events)
	}
	return lists
}

func eventRows(events []conform.Event) [][]any {
	rows := [][]any{}
	for _, e := range events {
		switch e.Kind {
		case conform.EventMessage:
			rows = append(rows, []any{e.Kind, shortPayload(e.Payload, e.Size), e.Binary})
		case conform.EventTimeout:
			rows = append(rows, []any{e.Kind, e.Tag})
		default:
			rows = append(rows, []any{e.Kind, shortPayload(e.Payload, e.Size)})
		}
	}
	return rows
}

func expectedClose(c conform.ExpectedClose) map[string]any {
	expected := map[string]any{
		"closedByMe":   c.ByMe,
		"closeCode":    append([]int{}, c.Codes...),
		"requireClean": c.Clean,
	}
	if c.WrongSideFatal {
		expected["closedByWrongEndpointIsFatal"] = true
	}
	return expected
}

// wireRows returns the wire log in the suite's rows. Each begins with its kind:
// RO and TO are octets received and sent, RF and TF frames, CT a wait, CTE the
// end of a wait, and WLM false and true enclose omitted entries.
func wireRows(r *conform.Result) [][]any {
	rows := [][]any{}
	for i, e := range r.Log {
		if r.Omitted > 0 && i == r.LogHead {
			rows = append(rows, []any{"WLM", false}, []any{"WLM", true})
		}
		if row := wireRow(e); row != nil {
			rows = append(rows, row)
		}
	}
	if r.Omitted > 0 && r.LogHead >= len(r.Log) {
		rows = append(rows, []any{"WLM", false})
	}
	return rows
}

// wireRow returns the row of one entry, nil for an entry that the suite does
// not log.
func wireRow(e conform.LogEntry) []any {
	octets := []any{e.Size, shortHex(e.Data, e.Size)}
	payload := []any{e.Size, shortPayload(e.Data, e.Size)}
	switch e.Kind {
	case conform.LogSent:
		return []any{"TO", octets, false}
	case conform.LogReceived:
		return []any{"RO", octets}
	case conform.LogTimer:
		return timerRow(e.Text)
	case conform.LogTxFrame, conform.LogRxFrame:
		f := e.Frame
		if f == nil {
			return nil
		}
		var key any
		if f.Masked {
			key = hex.EncodeToString(f.Key[:])
		}
		if e.Kind == conform.LogTxFrame {
			return []any{"TF", payload, f.Opcode, f.Fin, f.RSV, key, nil, nil, false}
		}
		return []any{"RF", payload, f.Opcode, f.Fin, f.RSV, f.Masked, key}
	}
	return nil
}

// timerRow returns the row of a timer by its text: CT with the seconds for the
// begin of a wait ("waiting 500ms"), null without a duration, and CTE for the
// end of a wait.
func timerRow(text string) []any {
	wait, begins := strings.CutPrefix(text, "waiting ")
	if !begins {
		return []any{"CTE", text}
	}
	d, err := time.ParseDuration(wait)
	if err != nil {
		return []any{"CT", nil, text}
	}
	return []any{"CT", d.Seconds(), text}
}

// noteRows returns the entries that the suite's wire log has no rows for.
func noteRows(log []conform.LogEntry) [][]any {
	rows := [][]any{}
	for _, e := range log {
		if slices.Contains([]conform.LogKind{conform.LogNote, conform.LogEndOfTCP, conform.LogTimer}, e.Kind) {
			rows = append(rows, []any{e.At.Milliseconds(), e.Kind, e.Text})
		}
	}
	return rows
}

// closeCode returns the code of a Close, nil if there was no Close or no code
// in it.
func closeCode(c *conform.CloseInfo) *int {
	if c == nil || c.Code < 0 {
		return nil
	}
	return &c.Code
}

func closeReason(c *conform.CloseInfo) any {
	if c == nil {
		return nil
	}
	return shortReason(c.Reason)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// orEmpty returns m, and {} instead of null for a nil one.
func orEmpty(m map[int]int) map[int]int {
	if m == nil {
		return map[int]int{}
	}
	return m
}
