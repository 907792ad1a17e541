package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
)

// chartWidth is that of all charts, in pixels.
const chartWidth = 900

// A drawing is an SVG picture being drawn. Colours are in the style sheet, so
// that a picture follows the reader's light or dark scheme.
type drawing struct{ bytes.Buffer }

// style has the classes of drawings: t for text, b for bars, others for lines.
const style = `
svg{font-family:-apple-system,"Segoe UI","Helvetica Neue",Inter,"Noto Sans","DejaVu Sans",Arial,sans-serif;font-size:13px;font-variant-numeric:tabular-nums}
.card{fill:#fff;stroke:#d8dee4}
.t{fill:#1f2328}.t-title{fill:#1f2328;font-size:16px;font-weight:600}.t-muted{fill:#59636e;font-size:12px}.t-ours{fill:#0550ae;font-weight:600}.t-bad{fill:#a40e26;font-size:12px}
.b-ours{fill:#0969da}.b-ours-2{fill:#80bdff}.b-library{fill:#6e7781}.b-library-2{fill:#bcc4cc}.b-limit{fill:#a07a2c}.b-limit-2{fill:#e0c890}
.b-good{fill:#0969da}.b-bad{fill:#bc4c00}
.grid{stroke:#e4e8ec}.axis{stroke:#8c959f}.cut{stroke:#fff;stroke-width:3}
.r{stroke-width:2;fill:none}.r-ours{stroke:#0969da}.r-library{stroke:#6e7781}.r-limit{stroke:#a07a2c}
.open{fill:#fff}
@media (prefers-color-scheme:dark){
.card{fill:#0d1117;stroke:#3d444d}
.t,.t-title{fill:#f0f6fc}.t-muted{fill:#9198a1}.t-ours{fill:#79c0ff}.t-bad{fill:#ff7b72}
.b-ours{fill:#4493f8}.b-ours-2{fill:#1c4a8a}.b-library{fill:#9198a1}.b-library-2{fill:#4a525c}.b-limit{fill:#d0a24a}.b-limit-2{fill:#665022}
.b-good{fill:#4493f8}.b-bad{fill:#f0883e}
.grid{stroke:#262c36}.axis{stroke:#6e7681}.cut{stroke:#0d1117}
.r-ours{stroke:#4493f8}.r-library{stroke:#9198a1}.r-limit{stroke:#d0a24a}
.open{fill:#0d1117}
}
`

// newDrawing begins a picture. alt describes it in a sentence, for screen
// readers.
func newDrawing(height float64, title, alt string) *drawing {
	d := new(drawing)
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %d %s" role="img">`,
		chartWidth, px(height), chartWidth, px(height))
	fmt.Fprintf(d, "\n<title>%s</title>\n<desc>%s</desc>\n<style>%s</style>\n", escape(title), escape(alt), style)
	fmt.Fprintf(d, `<rect class="card" x="0.5" y="0.5" width="%d" height="%s" rx="6"/>`+"\n", chartWidth-1, px(height-1))
	d.text(20, 30, "t-title", "start", title)
	return d
}

func (d *drawing) end() []byte {
	d.WriteString("</svg>\n")
	return d.Bytes()
}

// text draws s with its start, middle or end at x, on the base line y.
func (d *drawing) text(x, y float64, class, anchor, s string) {
	fmt.Fprintf(d, `<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`+"\n", class, px(x), px(y), anchor, escape(s))
}

func (d *drawing) bar(x, y, width, height float64, class string) {
	fmt.Fprintf(d, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`+"\n", class, px(x), px(y), px(max(width, 0)), px(height))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(d, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`+"\n", class, px(x1), px(y1), px(x2), px(y2))
}

func (d *drawing) dot(x, y, radius float64, class string) {
	fmt.Fprintf(d, `<circle class="%s" cx="%s" cy="%s" r="%s"/>`+"\n", class, px(x), px(y), px(radius))
}

// px writes a length with at most one decimal.
func px(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	if whole, ok := bytes.CutSuffix([]byte(s), []byte(".0")); ok {
		return string(whole)
	}
	return s
}

func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(s)) // a Buffer returns no errors
	return b.String()
}
