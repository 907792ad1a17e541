package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/fibersock/fibersock/wstest/conform"
)

// Info has facts about a run that are not in its results. Each is optional.
type Info struct {
	Role    conform.Role // of the agents; "": that of the results
	Started time.Time    // the start of the run; zero: that of the first case
	Cases   string       // the selection of cases, such as "all but 9.*"
	Judge   string       // the name and version of the program

	// Selected is the number of selected cases, by default the number of
	// results of an agent.
	Selected int
}

// WriteDir writes the results of each agent into dir, and creates dir if it
// does not exist: index.json and a JSON file for each case in the suite's
// format, index.html and an HTML page for each case. Each file is replaced
// atomically, the two indexes last. Files of cases in the index.json of an
// earlier report that are not in this one are removed. Other files are not
// changed.
//
// WriteDir does not retain the results. Of several results of one case with one
// agent it writes the last.
func WriteDir(dir string, results map[string][]*conform.Result, info Info) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("websocket: cannot make the directory of the report: %w", err)
	}
	w := &dirWriter{dir: dir, written: map[string]bool{}}
	agents := agentsOf(results)
	earlier := caseFilesIn(dir)
	for _, a := range agents {
		for i, r := range a.results {
			name := caseFile(a.base, r.Case.ID)
			w.json(name+".json", caseJSON(r))
			w.page(name+".html", "case.html", newCasePage(agents, a, i))
		}
	}
	w.json("index.json", index(agents))
	w.page("index.html", "index.html", newIndexPage(agents, info))
	for _, name := range earlier {
		w.remove(name)
	}
	return w.err
}

// isCaseFile matches the names of caseFile, with the extension of the JSON
// file.
var isCaseFile = regexp.MustCompile(`^[a-z0-9_]+_case_[a-z0-9_]+\.json$`).MatchString

// caseFilesIn returns the files of the cases of the report in dir, none without
// a report.
func caseFilesIn(dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil
	}
	var agents map[string]map[string]struct {
		ReportFile string `json:"reportfile"`
	}
	if json.Unmarshal(text, &agents) != nil {
		return nil // no report
	}
	var names []string
	for _, cases := range agents {
		for _, c := range cases {
			if isCaseFile(c.ReportFile) {
				names = append(names, c.ReportFile, strings.TrimSuffix(c.ReportFile, ".json")+".html")
			}
		}
	}
	return names
}

// A dirWriter writes files until the first error.
type dirWriter struct {
	dir     string
	written map[string]bool
	err     error
}

// remove removes a file, if it exists and was not written.
func (w *dirWriter) remove(name string) {
	if w.err != nil || w.written[name] {
		return
	}
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.err = fmt.Errorf("websocket: cannot remove a file of an earlier report: %w", err)
	}
}

func (w *dirWriter) json(name string, content any) {
	if w.err != nil {
		return
	}
	text, err := json.MarshalIndent(content, "", "   ")
	w.file(name, append(text, '\n'), err)
}

func (w *dirWriter) page(name, template string, content any) {
	if w.err != nil {
		return
	}
	var b bytes.Buffer
	err := pages.ExecuteTemplate(&b, template, content)
	w.file(name, b.Bytes(), err)
}

// file writes a file under another name, and renames it when it is complete.
func (w *dirWriter) file(name string, content []byte, err error) {
	if err == nil {
		err = replaceFile(filepath.Join(w.dir, name), content)
	}
	if err != nil {
		w.err = fmt.Errorf("websocket: cannot write the report: %w", err)
	}
	w.written[name] = true
}

func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644) // a file of CreateTemp is private, a report is public
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is returned
	}
	return err
}
