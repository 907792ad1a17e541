package report

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest/conform"
)

// suiteKeys are all keys of a case's file in the suite's format.
var suiteKeys = strings.Fields(`agent case id description expectation started duration reportTime reportCompressionRatio behavior
	behaviorClose expected expectedClose received result resultClose wirelog createWirelog createStats closedByMe failedByMe droppedByMe
	wasClean wasNotCleanReason wasServerConnectionDropTimeout wasOpenHandshakeTimeout wasCloseHandshakeTimeout localCloseCode
	localCloseReason remoteCloseCode remoteCloseReason isServer rxOctetStats rxFrameStats txOctetStats txFrameStats httpRequest
	httpResponse trafficStats`)

// decoded returns the decoded content of a case's file.
func decoded(t *testing.T, r *conform.Result) map[string]any {
	t.Helper()
	text, err := json.Marshal(caseJSON(r))
	check.Must(t, err)
	var content map[string]any
	check.Must(t, json.Unmarshal(text, &content))
	return content
}

// jsonValue returns the value that text stands for.
func jsonValue(t *testing.T, text string) any {
	t.Helper()
	var v any
	check.Mustf(t, json.Unmarshal([]byte(text), &v), "%s", text)
	return v
}

func TestCaseFileHasTheSuitesKeys(t *testing.T) {
	ours := []string{"role", "section", "flags", "again", "measured", "extension", "notes"}
	got := slices.Sorted(maps.Keys(decoded(t, result("1.1.1"))))
	want := slices.Sorted(slices.Values(append(ours, suiteKeys...)))
	check.Slices(t, got, want, "")
}

func TestCaseFileTellsTheResult(t *testing.T) {
	r := broken("12.1.1")
	r.Case.Index, r.Case.Close.WrongSideFatal = 302, true
	r.Role, r.CloseTimeout, r.Measured = conform.Client, true, 1500*time.Millisecond
	got := decoded(t, r)
	for key, want := range map[string]string{
		"case":                     `302`,
		"started":                  `"2026-03-04T09:30:00.250Z"`,
		"duration":                 `2`,
		"measured":                 `1500`,
		"reportTime":               `true`,
		"reportCompressionRatio":   `true`,
		"expected":                 `{"OK": [["message", "Hello, world!", false]], "NON-STRICT": []}`,
		"expectedClose":            `{"closedByMe": false, "closeCode": [1002], "requireClean": false, "closedByWrongEndpointIsFatal": true}`,
		"received":                 `[["message", "Hello, world?", false], ["pong", "0x00ff"]]`,
		"isServer":                 `true`,
		"closedByMe":               `false`,
		"wasCloseHandshakeTimeout": `true`,
		"wasNotCleanReason":        `"TCP ended before the judge's Close"`,
		"localCloseCode":           `null`,
		"localCloseReason":         `null`,
		"remoteCloseCode":          `1001`,
		"remoteCloseReason":        `"going"`,
		"rxOctetStats":             `{"15": 1, "4": 1}`,
		"txFrameStats":             `{"1": 1, "8": 1}`,
	} {
		if !reflect.DeepEqual(got[key], jsonValue(t, want)) {
			t.Errorf("%s: got %v, want %s", key, got[key], want)
		}
	}
}

func TestWireLogRowsAreTheSuites(t *testing.T) {
	r := result("1.1.1")
	r.Log = append(r.Log, conform.LogEntry{Kind: conform.LogTimer, Text: "waited 500ms, and the connection is still open"})
	r.Log = append(r.Log, rxFrame(0, 1, "the end"))
	r.Log[len(r.Log)-1].Frame.Masked = true
	r.Log[len(r.Log)-1].Frame.Key = [4]byte{1, 2, 3, 4}
	r.Log[len(r.Log)-1].Frame.RSV = 4
	r.Omitted, r.LogHead = 7, 3
	want := `[
		["TF", [13, "Hello, world!"], 1, true, 0, "4af4d75d", null, null, false],
		["TO", [12, "818d4af4d75d029891312598"], false],
		["CT", 0.5, "waiting 500ms"],
		["WLM", false], ["WLM", true],
		["RO", [15, "810d48656c6c6f2c20776f726c6421"]],
		["RF", [13, "Hello, world!"], 1, true, 0, false, null],
		["TF", [2, "0x03e8"], 8, true, 0, "4af4d75d", null, null, false],
		["TO", [8, "88824af4d75d491c"], false],
		["RO", [4, "880203e8"]],
		["RF", [2, "0x03e8"], 8, true, 0, false, null],
		["CTE", "waited 500ms, and the connection is still open"],
		["RF", [7, "the end"], 1, true, 4, true, "01020304"]
	]`
	got := decoded(t, r)
	if !reflect.DeepEqual(got["wirelog"], jsonValue(t, want)) {
		t.Errorf("got  %v\nwant %v", got["wirelog"], jsonValue(t, want))
	}
	notes := `[[0, "timer", "waiting 500ms"], [2, "tcp", "the peer ended TCP"], [0, "timer", "waited 500ms, and the connection is still open"]]`
	if !reflect.DeepEqual(got["notes"], jsonValue(t, notes)) {
		t.Errorf("notes: got %v", got["notes"])
	}
}

func TestPayloadsAreCutTo64(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload string
		size    int
		want    string
	}{
		{"nothing", "", 0, ""},
		{"64 characters", strings.Repeat("*", 64), 64, strings.Repeat("*", 64)},
		{"65 characters", strings.Repeat("*", 65), 65, strings.Repeat("*", 64) + " ..."},
		{"characters, not octets", strings.Repeat("ä", 64), 128, strings.Repeat("ä", 64)},
		{"the judge kept less", "abc", 65536, "abc ..."},
		{"the judge kept half of a character", "abc\xc3", 65536, "abc ..."},
		{"invalid UTF-8", "a\xed\xa0\x80", 4, "0x61eda080"},
		{"half of a character at the end", "a\xc3", 2, "0x61c3"},
		{"much invalid UTF-8", strings.Repeat("\xfe", 65), 65, "0x" + strings.Repeat("fe", 64) + " ..."},
	} {
		check.Equal(t, shortPayload([]byte(c.payload), c.size), c.want, "%s", c.name)
	}
}

func TestReasonThatIsNotUTF8IsHex(t *testing.T) {
	r := result("7.5.1")
	r.LocalClose.Reason = "\xce\xba\xed\xa0\x80"
	if got := decoded(t, r)["localCloseReason"]; got != "cebaeda080" {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsNotThereIsEmptyOfItsType(t *testing.T) {
	got := decoded(t, &conform.Result{Case: &conform.Case{ID: "1.1.1"}})
	for key, want := range map[string]string{
		"expected": `{}`, "received": `[]`, "wirelog": `[]`, "notes": `[]`, "extension": `null`, "flags": `[]`,
		"rxOctetStats": `{}`, "rxFrameStats": `{}`, "txOctetStats": `{}`, "txFrameStats": `{}`,
		"expectedClose": `{"closedByMe": false, "closeCode": [], "requireClean": false}`, "remoteCloseCode": `null`,
	} {
		if !reflect.DeepEqual(got[key], jsonValue(t, want)) {
			t.Errorf("%s: got %v, want %s", key, got[key], want)
		}
	}
}

func TestHostileTextInJSONIsText(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{hostile: {hostileResult("1.1.1")}})
	index := readJSON[map[string]map[string]struct{ Reportfile string }](t, dir, "index.json")
	file := index[hostile]["1.1.1"].Reportfile
	got := readJSON[map[string]any](t, dir, file)
	if got["agent"] != hostile || got["remoteCloseReason"] != hostile {
		t.Errorf("got the agent %q and the reason %q, want %q", got["agent"], got["remoteCloseReason"], hostile)
	}
	for _, name := range []string{"index.json", file} {
		if text := read(t, dir, name); strings.Contains(text, "</script>") || strings.Contains(text, "\x1b") {
			t.Errorf("%s has hostile text as it is", name)
		}
	}
}
