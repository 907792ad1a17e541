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

// Info is what the results do not say of a run themselves. The zero value is right if nothing is known.
type Info struct {
	Role    conform.Role // that the agents were tested in; "": that of the results
	Started time.Time    // when the run began; zero: the first case's start
	Cases   string       // which cases were asked for, such as "all but 9.*"; "": not said
	Judge   string       // name and version of what judged; "": not said

	// Selected is the number of cases that each agent was to run; 0: those that it ran.
	Selected int
}

// WriteDir writes the results of each agent into dir, which it makes if need be: index.json and a JSON file for each case in the
// suite's format, and the same for people as index.html and one page for each case. Files of the same names are replaced, each in
// one step, so that a reader never sees half of one; the two indexes are written last. Then the files of cases that an earlier
// report in dir had, as its index.json says, and this one has not, are removed. Other files stay as they are.
//
// The results are not changed and not kept. Where an agent has several results of one case, the last counts.
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

// isCaseFile matches the names that caseFile gives, with the ending of the JSON file.
var isCaseFile = regexp.MustCompile(`^[a-z0-9_]+_case_[a-z0-9_]+\.json$`).MatchString

// caseFilesIn returns the files of the cases of the report that is in dir, none if there is no
// report.
func caseFilesIn(dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil
	}
	var agents map[string]map[string]struct {
		ReportFile string `json:"reportfile"`
	}
	if json.Unmarshal(text, &agents) != nil {
		return nil // it is not of a report
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

// remove removes a file, if it is there and was not written.
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

// file writes a file under another name and gives it its own when it is whole.
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
		err = f.Chmod(0o644) // CreateTemp means secrets, reports are for everybody
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is the one that matters
	}
	return err
}
