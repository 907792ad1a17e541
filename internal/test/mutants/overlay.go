package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

// choice is the environment variable with the number of the mutant that a test
// binary is, counted from 1. 0 is the package without a change, and so is
// tracing, which also records the functions that are called.
const (
	choice  = "FIBERSOCK_MUTANT"
	tracing = -1
)

// calls is the environment variable with the file to which a test binary that
// traces appends a line for each function called: the number of the first
// mutant of the function.
const calls = "FIBERSOCK_MUTANT_CALLS"

// chooser is a file of the package that exchanges its declarations at run time.
const chooser = `package %s

import (
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutantInForce, _ = strconv.Atoi(os.Getenv(%q))
	mutantTraced [%d]atomic.Bool
)

func mutantCalled(number int) {
	if mutantTraced[number].Swap(true) {
		return
	}
	f, err := os.OpenFile(os.Getenv(%q), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strconv.Itoa(number) + "\n"); err != nil {
		panic(err)
	}
}
`

// together returns, for go build -overlay, the package with all mutants whose
// declaration can be exchanged, each with its index in list.
func (s *source) together(list []*mutant) map[string]string {
	texts := map[string]string{filepath.Join(s.dir, "mutant_in_force.go"): fmt.Sprintf(chooser, s.name, choice, len(list)+1, calls)}
	for _, f := range s.files {
		of := map[*place][]int{}
		var places []*place
		for i, m := range list {
			if m.file != f || m.alone {
				continue
			}
			if of[m.place] == nil {
				places = append(places, m.place)
			}
			of[m.place] = append(of[m.place], i)
		}
		var b strings.Builder
		done := 0
		for _, p := range places {
			from, to := s.span(p.node)
			b.WriteString(f.text[done:from])
			done = to
			b.WriteString(s.exchange(f, p, list, of[p]))
		}
		b.WriteString(f.text[done:])
		// The initialization of a variable follows all members of its group.
		for _, p := range places {
			if p.variable != nil {
				b.WriteString(s.makers(f, p, list, of[p]))
			}
		}
		if len(places) > 0 {
			texts[f.path] = b.String()
		}
	}
	return texts
}

// exchangeable reports whether the declaration can be exchanged at run time for
// the one that it is in the package changed.
func (s *source) exchangeable(f *sourceFile, p *place, changed *types.Package) bool {
	if p.variable == nil {
		return p.function != nil
	}
	typ := s.info.Defs[p.variable.Names[0]].Type()
	_, ok := s.typeText(f, typ)
	return ok && changed.Scope().Lookup(p.name).Type().String() == typ.String()
}

// exchange returns a declaration that selects the mutant at run time, followed
// by the mutants of a function.
func (s *source) exchange(f *sourceFile, p *place, list []*mutant, chosen []int) string {
	if p.variable != nil {
		name := p.variable.Names[0].Name
		return name + " = mutant_" + name + "()"
	}
	var (
		decl             = p.function
		name             = decl.Name.Name
		receiver, prefix string // of the declaration, of a call
		generic, actual  string
		results          string
	)
	params, args := s.parameters(f, decl.Type.Params, "mutantArg")
	if decl.Recv != nil {
		receiver, prefix = s.parameters(f, decl.Recv, "mutantReceiver")
		receiver = "(" + receiver + ") "
		prefix += "."
	}
	if decl.Type.TypeParams != nil {
		generic = s.textOf(f, decl.Type.TypeParams)
		var names []string
		for _, field := range decl.Type.TypeParams.List {
			for _, name := range field.Names {
				names = append(names, name.Name)
			}
		}
		actual = "[" + strings.Join(names, ", ") + "]"
	}
	give := ""
	if decl.Type.Results != nil {
		results = " " + s.textOf(f, decl.Type.Results)
		give = "return "
	}

	var b strings.Builder
	fmt.Fprintf(&b, "func %s%s%s(%s)%s {\n\tswitch mutantInForce {\n", receiver, name, generic, params, results)
	for _, i := range chosen {
		fmt.Fprintf(&b, "\tcase %d:\n\t\t%s%smutant%d_%s%s(%s)\n", i+1, give, prefix, i+1, name, actual, args)
	}
	fmt.Fprintf(&b, "\tcase %d:\n\t\tmutantCalled(%d)\n\t\tfallthrough\n", tracing, chosen[0]+1)
	fmt.Fprintf(&b, "\tdefault:\n\t\t%s%smutant0_%s%s(%s)\n\t}\n}\n", give, prefix, name, actual, args)

	head := "func "
	if decl.Recv != nil {
		head += s.textOf(f, decl.Recv) + " "
	}
	_, from := s.span(decl.Name)
	_, to := s.span(decl)
	fmt.Fprintf(&b, "\n%smutant0_%s%s\n", head, name, f.text[from:to])
	for _, i := range chosen {
		m := list[i]
		fmt.Fprintf(&b, "\n%smutant%d_%s%s%s%s\n", head, i+1, name, f.text[from:m.from], m.with, f.text[m.to:to])
	}
	return b.String()
}

// makers returns the functions that make the values of an exchangeable
// variable.
func (s *source) makers(f *sourceFile, p *place, list []*mutant, chosen []int) string {
	name := p.variable.Names[0].Name
	typ, _ := s.typeText(f, s.info.Defs[p.variable.Names[0]].Type())
	from, to := s.span(p.variable.Values[0])
	var b strings.Builder
	fmt.Fprintf(&b, "\nfunc mutant_%s() %s {\n\tswitch mutantInForce {\n", name, typ)
	for _, i := range chosen {
		m := list[i]
		fmt.Fprintf(&b, "\tcase %d:\n\t\treturn %s%s%s\n", i+1, f.text[from:m.from], m.with, f.text[m.to:to])
	}
	fmt.Fprintf(&b, "\t}\n\treturn %s\n}\n", f.text[from:to])
	return b.String()
}

// parameters returns the fields with names of our own, and the names as they
// are given on.
func (s *source) parameters(f *sourceFile, fields *ast.FieldList, prefix string) (params, args string) {
	var list, names []string
	for _, field := range fields.List {
		for range max(1, len(field.Names)) {
			name := fmt.Sprintf("%s%d", prefix, len(list))
			list = append(list, name+" "+s.textOf(f, field.Type))
			if _, more := field.Type.(*ast.Ellipsis); more {
				name += "..."
			}
			names = append(names, name)
		}
	}
	return strings.Join(list, ", "), strings.Join(names, ", ")
}

// writeOverlay writes texts, by the path of the file that each replaces, into
// dir, with the overlay file of the go command.
func writeOverlay(dir string, texts map[string]string) (path string, err error) {
	replace := map[string]string{}
	for original, text := range texts {
		path := filepath.Join(dir, filepath.Base(original))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[original] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o644)
}
