package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// A mutant is the package with one place of its text changed.
type mutant struct {
	file     *sourceFile
	from, to int    // offsets in the file's text
	with     string // the new text
	place    *place
	alone    bool // to be built by itself, not chosen at run time
	line     int
	key      key
}

// A place is a declaration: the unit that can be exchanged at run time.
type place struct {
	name string // F, T.F, or the first name that a group declares
	node ast.Node
	// Of these, the first that fits: a function with a body, or a variable
	// alone in its specification. Neither: it cannot be exchanged.
	function *ast.FuncDecl
	variable *ast.ValueSpec
}

// A key identifies a mutant independently of its line number.
type key struct {
	file, place string
	before      string // the line
	after       string // the changed line
	nth         int    // 1, or more if another mutant has the same fields
}

// changer collects the mutants of a package.
type changer struct {
	*source
	file  *sourceFile
	place *place
	list  []*mutant
	seen  map[key]int
}

// mutants returns every mutant of the package that compiles.
func (s *source) mutants() []*mutant {
	c := &changer{source: s, seen: map[key]int{}}
	for _, c.file = range s.files {
		for _, decl := range c.file.ast.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				c.function(decl)
			case *ast.GenDecl:
				if decl.Tok == token.IMPORT {
					continue
				}
				for _, spec := range decl.Specs {
					c.spec(spec)
				}
			}
		}
	}
	return c.list
}

func (c *changer) function(f *ast.FuncDecl) {
	if f.Body == nil || f.Name.Name == "_" {
		return
	}
	c.place = &place{name: functionName(f), node: f, function: f}
	if hasDirective(f.Doc) || c.recovers(f.Body) {
		c.place.function = nil
	}
	c.walk(f.Body)
}

func (c *changer) spec(spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		c.place = &place{name: spec.Names[0].Name, node: spec}
		if _, isVar := c.info.Defs[spec.Names[0]].(*types.Var); isVar && len(spec.Names) == 1 && len(spec.Values) == 1 && spec.Names[0].Name != "_" {
			c.place.variable = spec
		}
	case *ast.TypeSpec:
		c.place = &place{name: spec.Name.Name, node: spec}
	}
	c.walk(spec)
}

// functionName returns F, or T.F for a method.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	return receiverName(f.Recv.List[0].Type) + "." + f.Name.Name
}

// receiverName returns T of T, *T and T[P].
func receiverName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiverName(e.X)
	case *ast.IndexExpr:
		return receiverName(e.X)
	case *ast.IndexListExpr:
		return receiverName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

func hasDirective(doc *ast.CommentGroup) bool {
	if doc != nil {
		for _, comment := range doc.List {
			if strings.HasPrefix(comment.Text, "//go:") {
				return true
			}
		}
	}
	return false
}

// recovers reports whether body calls recover directly: only the deferred
// function itself may call it.
func (c *changer) recovers(body *ast.BlockStmt) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			found = found || c.info.Uses[name] == types.Universe.Lookup("recover")
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
	return found
}

// walk makes the mutants of everything under root.
func (c *changer) walk(root ast.Node) {
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // its tag is a literal too
			return n.Tag == nil
		case *ast.BinaryExpr:
			c.binary(n)
		case *ast.UnaryExpr:
			if n.Op == token.SUB || n.Op == token.XOR {
				c.replace(n, c.textOf(c.file, n.X))
			}
		case *ast.BasicLit:
			c.literal(n)
		case *ast.Ident:
			c.truth(n)
		case *ast.CallExpr:
			c.call(n)
		case ast.Stmt:
			c.statement(n)
		}
		return true
	})
}

func (c *changer) statement(n ast.Stmt) {
	switch n := n.(type) {
	case *ast.ExprStmt:
		if _, ok := n.X.(*ast.CallExpr); ok {
			c.replace(n, "")
		}
	case *ast.DeferStmt, *ast.GoStmt:
		c.replace(n, "")
	case *ast.AssignStmt:
		if with, ok := swaps[strings.TrimSuffix(n.Tok.String(), "=")]; ok && n.Tok != token.ASSIGN && n.Tok != token.DEFINE {
			c.operator(n.TokPos, n.Tok, with[0]+"=")
		}
		if _, ok := n.Rhs[0].(*ast.CallExpr); ok && len(n.Rhs) == 1 && n.Tok != token.DEFINE {
			c.replace(n, "")
		}
	case *ast.IncDecStmt:
		c.operator(n.TokPos, n.Tok, map[token.Token]string{token.INC: "--", token.DEC: "++"}[n.Tok])
	case *ast.IfStmt:
		c.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			c.condition(n.Cond)
		}
	case *ast.SwitchStmt:
		for _, clause := range n.Body.List {
			c.cases(clause.(*ast.CaseClause), n.Tag == nil)
		}
	case *ast.BranchStmt:
		if with, ok := map[token.Token]string{token.BREAK: "continue", token.CONTINUE: "break"}[n.Tok]; ok {
			c.operator(n.TokPos, n.Tok, with)
		}
	case *ast.ReturnStmt:
		c.returned(n)
	}
}

// swaps maps each operator to its replacement.
var swaps = map[string][]string{
	"+": {"-"}, "-": {"+"}, "*": {"/"}, "/": {"*"}, "%": {"*"},
	"&": {"|"}, "|": {"&"}, "^": {"&"}, "&^": {"&"}, "<<": {">>"}, ">>": {"<<"},
	"<": {"<=", ">="}, "<=": {"<", ">"}, ">": {">=", "<="}, ">=": {">", "<"},
	"==": {"!="}, "!=": {"=="},
	"&&": {"||"}, "||": {"&&"},
}

func (c *changer) binary(n *ast.BinaryExpr) {
	for _, with := range swaps[n.Op.String()] {
		c.operator(n.OpPos, n.Op, with)
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		c.replace(n, c.textOf(c.file, n.X))
		c.replace(n, c.textOf(c.file, n.Y))
	}
}

// condition negates the operands of a condition that are neither comparisons
// nor conditions. In those it changes an operator.
func (c *changer) condition(e ast.Expr) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		c.condition(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.LAND || e.Op == token.LOR {
			c.condition(e.X)
			c.condition(e.Y)
		}
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			c.replace(e, c.textOf(c.file, e.X))
		}
	case *ast.Ident, *ast.CallExpr, *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr:
		if id, ok := e.(*ast.Ident); !ok || !c.isTruth(id) {
			c.replace(e, "!"+c.textOf(c.file, e))
		}
	}
}

// cases leaves out each of several expressions of a case.
func (c *changer) cases(clause *ast.CaseClause, conditions bool) {
	for i, e := range clause.List {
		if conditions {
			c.condition(e)
		}
		if last := len(clause.List) - 1; last > 0 {
			from, to := e.Pos(), e.End()
			if i < last {
				to = clause.List[i+1].Pos()
			} else {
				from = clause.List[i-1].End()
			}
			c.change(c.offset(from), c.offset(to), "")
		}
	}
}

// literal makes numbers and characters one more and one less, and texts empty.
func (c *changer) literal(n *ast.BasicLit) {
	switch n.Kind {
	case token.INT:
		value := constant.MakeFromLiteral(n.Value, n.Kind, 0)
		for _, op := range []token.Token{token.ADD, token.SUB} {
			text := constant.BinaryOp(value, op, constant.MakeInt64(1)).ExactString()
			if u, err := strconv.ParseUint(text, 10, 64); err == nil && strings.HasPrefix(n.Value, "0x") {
				text = fmt.Sprintf("%#x", u)
			}
			c.replace(n, text)
		}
	case token.CHAR:
		r, _, _, err := strconv.UnquoteChar(n.Value[1:], '\'')
		if err == nil {
			c.replace(n, strconv.QuoteRune(r+1))
			c.replace(n, strconv.QuoteRune(r-1))
		}
	case token.STRING:
		if n.Value == `""` || n.Value == "``" {
			c.replace(n, `"?"`)
		} else {
			c.replace(n, `""`)
		}
	}
}

func (c *changer) truth(n *ast.Ident) {
	if c.isTruth(n) {
		c.replace(n, map[string]string{"true": "false", "false": "true"}[n.Name])
	}
}

func (c *changer) isTruth(n *ast.Ident) bool {
	use := c.info.Uses[n]
	return use != nil && (use == types.Universe.Lookup("true") || use == types.Universe.Lookup("false"))
}

// call replaces min by max and max by min. It removes other calls that are
// statements.
func (c *changer) call(n *ast.CallExpr) {
	name, ok := n.Fun.(*ast.Ident)
	if !ok {
		return
	}
	switch c.info.Uses[name] {
	case types.Universe.Lookup("min"):
		c.replace(name, "max")
	case types.Universe.Lookup("max"):
		c.replace(name, "min")
	}
}

// returned returns nothing in place of each result, or does not return.
func (c *changer) returned(n *ast.ReturnStmt) {
	if len(n.Results) == 0 {
		c.replace(n, "")
		return
	}
	for _, e := range n.Results {
		if _, isLiteral := e.(*ast.BasicLit); isLiteral {
			continue
		}
		if zero, ok := c.zero(e); ok {
			c.replace(e, zero)
		} else {
			c.condition(e)
		}
	}
}

// zero returns the zero value of e's type, false for truth values.
func (c *changer) zero(e ast.Expr) (text string, ok bool) {
	tv := c.info.Types[e]
	if tv.IsNil() {
		return "", false
	}
	switch t := tv.Type.(type) {
	case *types.Tuple:
		return "", false
	case *types.TypeParam:
		return "*new(" + t.Obj().Name() + ")", true
	}
	switch t := tv.Type.Underlying().(type) {
	case *types.Basic:
		switch {
		case t.Info()&types.IsNumeric != 0:
			return "0", true
		case t.Info()&types.IsString != 0:
			return `""`, true
		}
		return "", false
	case *types.Struct, *types.Array:
		text, ok := c.typeText(c.file, tv.Type)
		return text + "{}", ok
	}
	return "nil", true
}

func (c *changer) operator(pos token.Pos, op token.Token, with string) {
	from := c.offset(pos)
	c.change(from, from+len(op.String()), with)
}

func (c *changer) replace(n ast.Node, with string) {
	from, to := c.span(n)
	c.change(from, to, with)
}

// change adds the mutant with text instead of the source from from to to.
func (c *changer) change(from, to int, with string) {
	f := c.file
	if f.text[from:to] == with {
		return
	}
	m := &mutant{file: f, from: from, to: to, with: with, place: c.place, line: 1 + strings.Count(f.text[:from], "\n")}
	for _, other := range c.list {
		if other.file == f && other.from == from && other.to == to && other.with == with {
			return
		}
	}
	pkg := c.check(f, m.text())
	if pkg == nil {
		return
	}
	m.alone = !c.exchangeable(f, m.place, pkg)
	m.key = key{file: f.name, place: c.place.name, before: lineAt(f.text, from), after: lineAt(m.text(), from)}
	c.seen[m.key]++
	m.key.nth = c.seen[m.key]
	c.list = append(c.list, m)
}

// text returns the whole file of the mutant.
func (m *mutant) text() string {
	return m.file.text[:m.from] + m.with + m.file.text[m.to:]
}

// lineAt returns the line of text at the offset, without surrounding space.
func lineAt(text string, offset int) string {
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	return strings.TrimSpace(line)
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d %s", m.file.name, m.line, m.key.change())
}

// change writes k's part that is not where it is.
func (k key) change() string {
	nth := ""
	if k.nth > 1 {
		nth = strconv.Itoa(k.nth)
	}
	return fmt.Sprintf("%s\n\t- %s\n\t+%s %s", k.place, k.before, nth, k.after)
}
