package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A source is a package as this machine builds it: parsed, type-checked, and
// without the files that build constraints leave out.
type source struct {
	dir   string
	name  string // of the package
	set   *token.FileSet
	files []*sourceFile
	hash  string // of all files, with those of the tests
	types *types.Package
	info  *types.Info
	conf  types.Config
	path  string
}

// A sourceFile is one file of a source.
type sourceFile struct {
	name string // relative to the module, with slashes
	path string
	text string
	ast  *ast.File
}

// load reads the package that the go command knows as pattern.
func load(pattern string) (*source, error) {
	var list struct {
		Dir, ImportPath, Name              string
		GoFiles, TestGoFiles, XTestGoFiles []string
		Module                             struct{ Dir string }
	}
	out, err := goCommand("list", "-json=Dir,ImportPath,Name,GoFiles,TestGoFiles,XTestGoFiles,Module", pattern)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	if err := decoder.Decode(&list); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("%s is more than one package", pattern)
	}

	s := &source{
		dir:  list.Dir,
		name: list.Name,
		path: list.ImportPath,
		set:  token.NewFileSet(),
	}
	hash := sha256.New()
	for _, name := range slices.Concat(list.GoFiles, list.TestGoFiles, list.XTestGoFiles) {
		text, err := os.ReadFile(filepath.Join(list.Dir, name))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
	}
	s.hash = fmt.Sprintf("%x", hash.Sum(nil))
	for _, name := range list.GoFiles {
		path := filepath.Join(list.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(s.set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(list.Module.Dir, path)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, &sourceFile{name: filepath.ToSlash(rel), path: path, text: string(text), ast: parsed})
	}

	if s.conf, err = typeChecker(s.set, pattern); err != nil {
		return nil, err
	}
	s.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	s.types, err = s.conf.Check(s.path, s.set, s.parsed(), s.info)
	return s, err
}

// typeChecker returns a configuration that imports from compiled packages.
func typeChecker(set *token.FileSet, pattern string) (types.Config, error) {
	out, err := goCommand("list", "-export", "-deps", "-f={{.ImportPath}}\t{{.Export}}", pattern)
	if err != nil {
		return types.Config{}, err
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		exports[path] = file
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	return types.Config{
		Importer: importer.ForCompiler(set, "gc", lookup),
		Sizes:    types.SizesFor("gc", runtime.GOARCH),
	}, nil
}

// users returns the names of the functions that use the declarations of a
// place, also by other declarations. A function that is not exchanged is its own
// user.
func (s *source) users(p *place) (functions []string) {
	used := map[types.Object]bool{}
	declared := func(n ast.Node) (objects []types.Object) {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for _, name := range n.Names {
				objects = append(objects, s.info.Defs[name])
			}
		case *ast.TypeSpec:
			objects = append(objects, s.info.Defs[n.Name])
		}
		return objects
	}
	exported := false // tests of the package may use it themselves
	for _, o := range declared(p.node) {
		used[o] = true
		exported = exported || o.Exported()
	}
	if len(used) == 0 || exported {
		return []string{p.name}
	}
	uses := func(n ast.Node) (found bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			name, ok := n.(*ast.Ident)
			found = found || ok && used[s.info.Uses[name]]
			return !found
		})
		return found
	}
	for more := true; more; {
		more, functions = false, nil
		for _, f := range s.files {
			for _, decl := range f.ast.Decls {
				switch decl := decl.(type) {
				case *ast.FuncDecl:
					if uses(decl) {
						functions = append(functions, functionName(decl))
					}
				case *ast.GenDecl:
					for _, spec := range decl.Specs {
						for _, o := range declared(spec) {
							if !used[o] && uses(spec) {
								used[o], more = true, true
							}
						}
					}
				}
			}
		}
	}
	return functions
}

func (s *source) parsed() []*ast.File {
	var files []*ast.File
	for _, f := range s.files {
		files = append(files, f.ast)
	}
	return files
}

// check returns the package with text in place of the file's own, nil if that
// is not correct Go.
func (s *source) check(file *sourceFile, text string) *types.Package {
	parsed, err := parser.ParseFile(s.set, file.path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	defer s.set.RemoveFile(s.set.File(parsed.FileStart))
	files := s.parsed()
	for i, f := range s.files {
		if f == file {
			files[i] = parsed
		}
	}
	pkg, err := s.conf.Check(s.path, s.set, files, nil)
	if err != nil {
		return nil
	}
	return pkg
}

// span returns where node begins and ends in its file.
func (s *source) span(node ast.Node) (from, to int) {
	return s.offset(node.Pos()), s.offset(node.End())
}

func (s *source) offset(pos token.Pos) int { return s.set.Position(pos).Offset }

// textOf returns the source text of a node.
func (s *source) textOf(f *sourceFile, node ast.Node) string {
	from, to := s.span(node)
	return f.text[from:to]
}

// typeText writes t as f can write it; ok is false if f imports too little.
func (s *source) typeText(f *sourceFile, t types.Type) (text string, ok bool) {
	ok = true
	text = types.TypeString(t, func(p *types.Package) string {
		if p == s.types {
			return ""
		}
		for _, spec := range f.ast.Imports {
			if spec.Path.Value != `"`+p.Path()+`"` {
				continue
			}
			if spec.Name != nil {
				return spec.Name.Name
			}
			return p.Name()
		}
		ok = false
		return p.Name()
	})
	return text, ok
}

// goCommand runs the go command and returns its standard output.
func goCommand(args ...string) ([]byte, error) {
	name := os.Getenv("GO")
	if name == "" {
		name = "go"
	}
	cmd := exec.Command(name, args...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, problem.String())
	}
	return out, nil
}
