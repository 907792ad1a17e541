package report

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest/conform"
)

// write writes a report into a new directory and returns it.
func write(t *testing.T, results map[string][]*conform.Result) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "reports", "servers")
	check.Must(t, WriteDir(dir, results, Info{}))
	return dir
}

// read returns a file of a report.
func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	check.Must(t, err)
	return string(text)
}

// readJSON decodes a file of a report, as any tool would.
func readJSON[T any](t *testing.T, dir, name string) T {
	t.Helper()
	var content T
	check.Mustf(t, json.Unmarshal([]byte(read(t, dir, name)), &content), "%s", name)
	return content
}

// filesIn returns the names of all files, sorted.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check.Must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestIndexIsAsToolsOfTheSuiteReadIt(t *testing.T) {
	empty := result("7.3.1")
	empty.Behavior, empty.Duration = conform.NonStrict, 1999*time.Microsecond
	empty.RemoteClose = &conform.CloseInfo{Code: -1}
	dir := write(t, map[string][]*conform.Result{
		"fibersock/epoll": {result("1.1.1"), empty, broken("10.1.1")},
		"Node ws 8":       {result("1.1.1")},
	})

	type entry struct {
		Behavior        string
		BehaviorClose   string
		Duration        int
		RemoteCloseCode *int
		Reportfile      string
	}
	got := readJSON[map[string]map[string]entry](t, dir, "index.json")
	code := func(n int) *int { return &n }
	want := map[string]map[string]entry{
		"fibersock/epoll": {
			"1.1.1":  {"OK", "OK", 2, code(1000), "fibersock_epoll_case_1_1_1.json"},
			"7.3.1":  {"NON-STRICT", "OK", 1, nil, "fibersock_epoll_case_7_3_1.json"},
			"10.1.1": {"FAILED", "WRONG CODE", 2, code(1001), "fibersock_epoll_case_10_1_1.json"},
		},
		"Node ws 8": {
			"1.1.1": {"OK", "OK", 2, code(1000), "node_ws_8_case_1_1_1.json"},
		},
	}
	for agent, cases := range want {
		for id, w := range cases {
			g := got[agent][id]
			if (w.RemoteCloseCode == nil) != (g.RemoteCloseCode == nil) || w.RemoteCloseCode != nil && *w.RemoteCloseCode != *g.RemoteCloseCode {
				t.Errorf("%s %s: wrong remoteCloseCode", agent, id)
			}
			w.RemoteCloseCode, g.RemoteCloseCode = nil, nil
			check.Equal(t, g, w, "%s %s", agent, id)
			if readJSON[map[string]any](t, dir, w.Reportfile)["id"] != id {
				t.Errorf("%s is not of case %s", w.Reportfile, id)
			}
		}
		if len(got[agent]) != len(cases) {
			t.Errorf("%s has %d cases, want %d", agent, len(got[agent]), len(cases))
		}
	}

	text := read(t, dir, "index.json")
	if !strings.Contains(text, "\n   \"fibersock/epoll\": {\n      \"1.1.1\": {\n         \"behavior\": \"OK\",\n") {
		t.Error("index.json is not indented by three")
	}
	if strings.Index(text, `"10.1.1"`) > strings.Index(text, `"7.3.1"`) || strings.Index(text, "Node ws") > strings.Index(text, "fibersock/epoll") {
		t.Error("the keys of index.json are not sorted")
	}
}

func TestNoResultsAreAReportToo(t *testing.T) {
	dir := write(t, nil)
	if text := strings.TrimSpace(read(t, dir, "index.json")); text != "{}" {
		t.Errorf("index.json: got %s", text)
	}
	if page := read(t, dir, "index.html"); !strings.Contains(page, "No results") {
		t.Error("index.html does not say that there are no results")
	}
	check.Slices(t, filesIn(t, dir), []string{"index.html", "index.json"}, "got the files")
}

func TestReportReplacesAnEarlierOne(t *testing.T) {
	dir := t.TempDir()
	check.Must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600))
	for _, r := range []*conform.Result{result("1.1.1"), broken("1.1.1")} {
		check.Must(t, WriteDir(dir, map[string][]*conform.Result{"a": {r}}, Info{}))
	}
	if got := readJSON[map[string]any](t, dir, "a_case_1_1_1.json")["behavior"]; got != "FAILED" {
		t.Errorf("the case's file still says %v", got)
	}
	want := []string{"a_case_1_1_1.html", "a_case_1_1_1.json", "index.html", "index.json", "notes.txt"}
	check.Slices(t, filesIn(t, dir), want, "got the files")
}

// Pages of an earlier run stayed, and looked like pages of the last one. Files that no report has
// written stay.
func TestFilesOfCasesOfAnEarlierReportAreRemoved(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{"a": {result("1.1.1"), result("1.1.2")}, "b": {result("1.1.1")}})
	for _, name := range []string{"c_case_1_1_1.html", "notes.txt"} {
		check.Must(t, os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600))
	}
	check.Must(t, WriteDir(dir, map[string][]*conform.Result{"a": {result("1.1.2"), result("1.1.3")}}, Info{}))
	want := []string{
		"a_case_1_1_2.html", "a_case_1_1_2.json", "a_case_1_1_3.html", "a_case_1_1_3.json",
		"c_case_1_1_1.html", "index.html", "index.json", "notes.txt",
	}
	check.Slices(t, filesIn(t, dir), want, "got the files")
}

// An index.json that is not of a report, or not an honest one, removes nothing.
func TestForeignIndexRemovesNothing(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "report")
	check.Must(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"../a_case_1.json", "../a_case_1.html", "keep.json", "keep_case_/x"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		check.Must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	for _, index := range []string{
		"no JSON", "[]", `{"a": 1}`,
		`{"a": {"1": {"reportfile": "../a_case_1.json"}, "2": {"reportfile": "keep.json"}, "3": {"reportfile": "keep_case_/x"}, "4": {}}}`,
	} {
		check.Must(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o600))
		check.OKf(t, WriteDir(dir, nil, Info{}), "%s", index)
		if got, want := len(filesIn(t, dir)), 4; got != want {
			t.Errorf("%s: %d files are left, want %d", index, got, want)
		}
		if got, want := len(filesIn(t, above)), 3; got != want {
			t.Errorf("%s: beside the report %d files are left, want %d", index, got, want)
		}
	}
}

func TestOfSeveralResultsOfACaseTheLastCounts(t *testing.T) {
	dir := write(t, map[string][]*conform.Result{"a": {broken("1.1.1"), result("1.1.1")}})
	index := readJSON[map[string]map[string]struct{ Behavior string }](t, dir, "index.json")
	if got := index["a"]["1.1.1"].Behavior; got != "OK" {
		t.Errorf("got %s, want OK", got)
	}
}

func TestReportThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check.Must(t, os.WriteFile(file, nil, 0o600))
	if err := WriteDir(file, nil, Info{}); err == nil || !strings.HasPrefix(err.Error(), "websocket: ") {
		t.Errorf("into a file: got the error %v", err)
	}

	for _, name := range []string{"index.json", "a_case_1_1_1.json"} {
		dir := t.TempDir()
		check.Must(t, os.MkdirAll(filepath.Join(dir, name, "in the way"), 0o700))
		if err := WriteDir(dir, map[string][]*conform.Result{"a": {result("1.1.1")}}, Info{}); err == nil {
			t.Errorf("%s cannot be replaced: no error", name)
		}
		for _, left := range filesIn(t, dir) {
			if strings.HasPrefix(left, ".") {
				t.Errorf("%s was left behind", left)
			}
		}
	}
}

func TestFilesAreNamedByTheSuitesRule(t *testing.T) {
	long := strings.Repeat("very long ", 1000)
	for _, c := range []struct{ agent, want string }{
		{"UnknownServer", "unknownserver"},
		{"gws-client/async", "gws_client_async"},
		{" Tungstenite 0.2 ", "tungstenite_0_2"},
		{"a  b", "a__b"},
		{"../../x", "x"},
		{`C:\con`, "c__con"},
		{"naïve\x00\xff", "na_ve"},
		{"", "unnamed"},
		{"/../", "unnamed"},
		{long, "very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_" + "_" + shortHash(long)},
	} {
		check.Equal(t, FileBase(c.agent), c.want, "%.40q", c.agent)
	}
}

func TestEachAgentHasItsOwnFiles(t *testing.T) {
	names := []string{
		"a b", "a-b", "A.B", "a_b_" + shortHash("a b"), // one base, and one like a base with a hash
		"", "?", "unnamed",
		"../../x", "x",
		strings.Repeat("y", 300), strings.Repeat("y", 301),
		"\xff", "\xfe", `\xff`,
	}
	results := map[string][]*conform.Result{}
	for _, name := range names {
		r := result("1.1.1")
		r.Agent, r.Why = name, "This is of "+shortHash(name)+"."
		results[name] = []*conform.Result{r}
	}
	dir := write(t, results)

	index := readJSON[map[string]map[string]struct{ Reportfile string }](t, dir, "index.json")
	if len(index) != len(names) {
		t.Errorf("index.json has %d agents, want %d", len(index), len(names))
	}
	seen := map[any]bool{}
	for _, cases := range index {
		file := cases["1.1.1"].Reportfile
		if filepath.Base(file) != file || len(file) > 200 {
			t.Errorf("the file's name is %q", file)
		}
		seen[readJSON[map[string]any](t, dir, file)["result"]] = true
	}
	if len(seen) != len(names) {
		t.Errorf("the index leads to the files of %d agents, want %d", len(seen), len(names))
	}
	check.Equal(t, len(filesIn(t, dir)), 2*len(names)+2, "")
	check.Slices(t, filesIn(t, filepath.Dir(dir)), []string{"servers"}, "beside the directory there is now")
}

func TestCasesAreInTheOrderOfTheirNumbers(t *testing.T) {
	results := map[string]*conform.Result{}
	for _, id := range []string{"10.1.1", "2.10", "1.1.1", "2.9", "2.2", "12.1.2"} {
		results[id] = result(id)
	}
	var got []string
	for _, r := range inOrder(slices.Collect(maps.Values(results))) {
		got = append(got, r.Case.ID)
	}
	check.Slices(t, got, []string{"1.1.1", "2.2", "2.9", "2.10", "10.1.1", "12.1.2"}, "")
}
