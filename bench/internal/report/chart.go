package report

import (
	"fmt"
	"math"
	"slices"
)

// Positions in a scenario's chart, in pixels.
const (
	rowHeight  = 28
	barHeight  = 14
	headHeight = 84
	footHeight = 34
	nameEnd    = 150 // names end here, and bars begin a little to the right
	barStart   = 160
	rangeStart = 610 // where latencies begin, in a chart that has them
	rightEnd   = 870
	labelWidth = 96 // space for the number beside the longest bar
)

// ChartFile is the name of a scenario's chart.
func ChartFile(s *Scenario) string { return s.Name + ".svg" }

// OverviewFile is the name of the chart over all scenarios.
const OverviewFile = "overview.svg"

// Charts returns all pictures by file name.
func (r *Results) Charts() map[string][]byte {
	files := make(map[string][]byte)
	for i := range r.Scenarios {
		if s := &r.Scenarios[i]; r.hasChart(s) {
			files[ChartFile(s)] = r.chart(s)
		}
	}
	if r.hasOverview() {
		files[OverviewFile] = r.overviewChart()
	}
	return files
}

func (r *Results) hasChart(s *Scenario) bool { return s.has(s.Primary) }

func chartAlt(s *Scenario) string {
	return fmt.Sprintf("%s: %s of each peer, best first", s.Title, heading(s, s.Primary))
}

// chart draws one scenario: bars of the primary figure and, where latencies
// were measured, their quantiles.
func (r *Results) chart(s *Scenario) []byte {
	rows := slices.DeleteFunc(s.Ranked(), func(o Outcome) bool { return o.Median == nil && o.Failed == "" })
	height := headHeight + rowHeight*float64(len(rows)) + footHeight
	d := newDrawing(height, s.Title, chartAlt(s))
	end := float64(rightEnd)
	latencies, reason := s.has(P50) && s.has(P999), 110
	if latencies {
		end, reason = rangeStart-40, 60
	}
	bars := newBars(s, end)
	d.text(20, 50, "t-muted", "start", bars.caption(s))
	if latencies {
		newRanges(s).axis(d, len(rows))
	}
	for i, o := range rows {
		y := headHeight + rowHeight*float64(i)
		kind := r.Peer(s, o.Peer).Kind
		d.text(nameEnd, y+18, nameClass(kind), "end", o.Peer)
		if o.Failed != "" {
			d.text(barStart, y+18, "t-bad", "start", "failed: "+cutText(o.Failed, reason))
			continue
		}
		bars.draw(d, y, kind, &o)
		if latencies {
			newRanges(s).draw(d, y, kind, &o)
		}
	}
	d.legend(height-14, s)
	return d.end()
}

func nameClass(kind Kind) string {
	if kind == Ours {
		return "t-ours"
	}
	return "t"
}

func cutText(s string, most int) string {
	letters := []rune(s)
	if len(letters) <= most {
		return s
	}
	return string(letters[:most-1]) + "…"
}

// legend explains the colours.
func (d *drawing) legend(y float64, s *Scenario) {
	x := float64(barStart)
	entry := func(label string, width float64, classes ...string) {
		for _, class := range classes {
			d.bar(x, y-9, 10, 10, class)
			x += 10
		}
		d.text(x+6, y, "t-muted", "start", label)
		x += width
	}
	entry("fibersock", 86, "b-ours")
	entry("libraries in Go", 116, "b-library")
	if !s.Clients {
		entry("limits", 66, "b-limit")
	}
	if s.Primary == CPU && s.has(CPUUser) {
		entry("user, system", 100, "b-library", "b-library-2")
	}
}

// bars is the scale of the primary figure. It begins at 0. A bar that is much
// longer than the others is cut and marked.
type bars struct {
	primary Metric
	unit    float64 // pixels for one
	longest float64 // the value at which a bar is cut
}

func newBars(s *Scenario, end float64) bars {
	var values []float64
	for _, o := range s.Outcomes {
		if v, ok := o.Median[s.Primary]; ok {
			values = append(values, v)
		}
	}
	longest := slices.Max(values)
	if usual := 3 * Median(values); longest > usual*4/3 {
		longest = usual
	}
	return bars{s.Primary, (end - labelWidth - barStart) / max(longest, 1e-9), longest}
}

func (b bars) caption(s *Scenario) string {
	return heading(s, b.primary) + ", median of the rounds; less is better"
}

func (b bars) draw(d *drawing, y float64, kind Kind, o *Outcome) {
	v := o.Median[b.primary]
	top := y + (rowHeight-barHeight)/2
	width := b.unit * min(v, b.longest)
	user, isSplit := o.Median[CPUUser]
	if b.primary == CPU && isSplit {
		part := width * user / max(user+o.Median[CPUSystem], 1e-9)
		d.bar(barStart, top, part, barHeight, "b-"+string(kind))
		d.bar(barStart+part, top, width-part, barHeight, "b-"+string(kind)+"-2")
	} else {
		d.bar(barStart, top, width, barHeight, "b-"+string(kind))
	}
	if v > b.longest {
		x := barStart + width - 18
		d.line(x, top+barHeight+2, x+8, top-2, "cut")
	}
	d.text(barStart+width+8, y+18, nameClass(kind), "start", value(b.primary, v))
}

// ranges is the scale of latencies, logarithmic.
type ranges struct{ low, high float64 } // microseconds, powers of ten

func newRanges(s *Scenario) ranges {
	low, high := math.Inf(1), 0.0
	for _, o := range s.Outcomes {
		if o.Median != nil {
			low, high = min(low, o.Median[P50]), max(high, o.Median[P999])
		}
	}
	low, high = max(low, 0.1), max(high, 1)
	return ranges{math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))}
}

func (r ranges) x(v float64) float64 {
	share := math.Log10(max(v, r.low)/r.low) / max(math.Log10(r.high/r.low), 1e-9)
	return rangeStart + share*(rightEnd-rangeStart)
}

func (r ranges) axis(d *drawing, rows int) {
	d.text(rangeStart, 50, "t-muted", "start", "latency, logarithmic: p50, p99, p99.9")
	bottom := headHeight + rowHeight*float64(rows)
	const labels = 5 // that there is room for
	decades := math.Round(math.Log10(r.high / r.low))
	every := int(math.Ceil((decades + 1) / labels))
	for i := range int(decades) + 1 {
		v := r.low * math.Pow(10, float64(i))
		x := r.x(v)
		d.line(x, headHeight-4, x, bottom, "grid")
		if i%every == 0 {
			d.text(x, headHeight-10, "t-muted", "middle", round(v))
		}
	}
}

// round writes a power of ten of microseconds.
func round(v float64) string {
	switch {
	case v >= 0.99e6:
		return fmt.Sprintf("%.0f s", v/1e6)
	case v >= 0.99e3:
		return fmt.Sprintf("%.0f ms", v/1e3)
	}
	return fmt.Sprintf("%g µs", math.Round(v*10)/10)
}

func (r ranges) draw(d *drawing, y float64, kind Kind, o *Outcome) {
	middle := y + rowHeight/2
	p50, p99, p999 := r.x(o.Median[P50]), r.x(o.Median[P99]), r.x(o.Median[P999])
	stroke := "r r-" + string(kind)
	d.line(p50, middle, p999, middle, stroke)
	d.dot(p50, middle, 5, "b-"+string(kind))
	d.dot(p99, middle, 4, stroke+" open")
	d.line(p999, middle-5, p999, middle+5, stroke)
}
