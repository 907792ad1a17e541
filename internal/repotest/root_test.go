package repotest

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// root is the root of the repository, relative to this package.
const root = "../.."

// visit calls do with each wanted file of the repository.
func visit(t *testing.T, wanted func(name string) bool, do func(name, text string)) {
	t.Helper()
	files := os.DirFS(root)
	seen := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || base == "artifacts"):
			return fs.SkipDir
		case entry.IsDir() || !wanted(name):
			return nil
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		seen++
		do(name, string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatalf("no wanted file below %s", root)
	}
}
