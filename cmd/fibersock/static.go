package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
)

// staticFiles returns a handler of the files below a directory and a function
// that closes the directory. A symbolic link does not lead out of the
// directory, and names that begin with a dot are not served.
func staticFiles(dir string) (http.Handler, func() error, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	files := http.FileServerFS(visibleFS{root.FS()})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache") // an edited file is seen at once
		files.ServeHTTP(w, r)
	}), root.Close, nil
}

// visibleFS is a file system without the names that begin with a dot, such as
// .git and .env. Names that cannot be resolved, such as a link that leads out of
// the directory, and files other than regular ones do not exist: opening a named
// pipe would block a thread of the process until another process writes into it.
type visibleFS struct{ fs.FS }

func (v visibleFS) Open(name string) (fs.File, error) {
	for element := range strings.SplitSeq(name, "/") {
		if isHidden(element) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	info, err := fs.Stat(v.FS, name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil, info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice) != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := v.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if dir, ok := f.(fs.ReadDirFile); ok {
		return visibleDir{dir}, nil
	}
	return f, nil
}

func isHidden(element string) bool {
	return strings.HasPrefix(element, ".") && path.Clean(element) != "."
}

// visibleDir is an open file or directory. It lists no hidden names.
type visibleDir struct{ fs.ReadDirFile }

func (d visibleDir) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := d.ReadDirFile.ReadDir(n)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return isHidden(e.Name()) }), err
}

// Seek makes a visibleDir of a file an io.ReadSeeker, which net/http needs.
func (d visibleDir) Seek(offset int64, origin int) (int64, error) {
	s, ok := d.ReadDirFile.(interface {
		Seek(offset int64, origin int) (int64, error)
	})
	if !ok {
		return 0, fs.ErrInvalid
	}
	return s.Seek(offset, origin)
}
