package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"strings"
	"time"

	"github.com/fibersock/fibersock/wstest/conform"
)

//go:embed html
var htmlFiles embed.FS

// pages are the templates of all pages. A page loads no other file.
var pages = template.Must(template.ParseFS(htmlFiles, "html/*.html"))

// frameOfPage is the common part of all pages.
type frameOfPage struct {
	Title  string
	Style  template.CSS
	Script template.JS

	// Policy is the Content Security Policy. It allows the style and script of
	// the page only, so text of a peer cannot load or run anything.
	Policy string
}

func newFrameOfPage(title string, script string) frameOfPage {
	style := embedded("html/style.css")
	policy := "default-src 'none'; style-src " + sourceHash(style)
	if script != "" {
		policy += "; script-src " + sourceHash(script)
	}
	return frameOfPage{Title: title, Style: template.CSS(style), Script: template.JS(script), Policy: policy}
}

// embedded returns a file that is part of the program.
func embedded(name string) string {
	text, err := htmlFiles.ReadFile(name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}

// sourceHash returns the source expression of Content Security Policy that
// allows exactly text.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A badge shows a verdict.
type badge struct {
	Text string
	Slug string // its class in the style
	Mark string // a sign in addition to the color
}

func newBadge(v conform.Verdict) *badge {
	b := &badge{Text: string(v), Slug: slug(v), Mark: "✗"}
	switch v {
	case conform.OK:
		b.Mark = "✓"
	case conform.NonStrict:
		b.Mark = "≈"
	case conform.Informational:
		b.Mark = "i"
	case conform.Unimplemented:
		b.Mark = "–"
	}
	return b
}

// slug returns the verdict as the name of a class: "failed-by-client".
func slug(v conform.Verdict) string {
	return strings.ReplaceAll(strings.ToLower(string(v)), " ", "-")
}

// A fact is a line of a list.
type fact struct {
	Label string
	Value string
}

// appendFact appends a fact, if it is known.
func appendFact(facts []fact, label, value string) []fact {
	if value == "" {
		return facts
	}
	return append(facts, fact{label, value})
}

// timestamp returns t for a reader, "" if it is not known.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04:05 UTC")
}

// visible returns text of several lines, in which unprintable characters are
// escaped.
func visible(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = escapeUnprintable(line)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
