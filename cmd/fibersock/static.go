package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
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
// .git and .env, and without symbolic links to them. Names that cannot be
// resolved, such as a link that leads out of the directory, and files other than
// regular ones do not exist: opening a named pipe would block a thread of the
// process until another process writes into it.
type visibleFS struct{ fs.FS }

func (v visibleFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	target, info, err := v.resolve(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil, info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice) != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := v.FS.Open(target)
	if err != nil {
		return nil, err
	}
	if dir, ok := f.(fs.ReadDirFile); ok {
		return visibleDir{dir, v, target}, nil
	}
	return f, nil
}

// maxLinks bounds the symbolic links of one name, as Linux does.
const maxLinks = 40

// resolve returns the path to which the symbolic links of name lead, and its
// description. The error is fs.ErrNotExist if an element of name or of the
// target of a link is hidden, if a link leads out of the directory, and after
// maxLinks.
func (v visibleFS) resolve(name string) (resolved string, info fs.FileInfo, err error) {
	resolved = "."
	info, err = fs.Lstat(v.FS, resolved)
	links := 0
	for rest := name; err == nil && rest != ""; {
		var element string
		element, rest, _ = strings.Cut(rest, "/")
		next := path.Join(resolved, element)
		if isHidden(element) || !fs.ValidPath(next) {
			return "", nil, fs.ErrNotExist
		}
		if info, err = fs.Lstat(v.FS, next); err != nil || info.Mode().Type() != fs.ModeSymlink {
			resolved = next
			continue
		}
		target, err := fs.ReadLink(v.FS, next)
		if links++; err != nil || links > maxLinks || filepath.IsAbs(target) {
			return "", nil, fs.ErrNotExist
		}
		rest = filepath.ToSlash(target) + "/" + rest
	}
	return resolved, info, err
}

// isHidden reports whether an element of a path is a name that begins with a
// dot.
func isHidden(element string) bool {
	return strings.HasPrefix(element, ".") && element != "." && element != ".."
}

// visibleDir is an open file or directory. It lists no hidden names, and no
// symbolic links that do not resolve.
type visibleDir struct {
	fs.ReadDirFile
	files visibleFS
	path  string
}

func (d visibleDir) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := d.ReadDirFile.ReadDir(n)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		if e.Type() != fs.ModeSymlink {
			return isHidden(e.Name())
		}
		_, _, err := d.files.resolve(path.Join(d.path, e.Name()))
		return err != nil
	}), err
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
