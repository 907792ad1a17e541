package report

import (
	"fmt"
	"math"
)

// Positions in the overview, in pixels.
const (
	overviewStart = 300
	overviewEnd   = 690 // the names of the best peers follow
)

// overviewChart draws, for each scenario, ours divided by the best peer, on a
// logarithmic scale around 1.
func (r *Results) overviewChart() []byte {
	scenarios := r.compared()
	height := headHeight + rowHeight*float64(len(scenarios)) + footHeight - 14
	d := newDrawing(height, "fibersock and the best peer of each scenario",
		"Each scenario's figure of fibersock divided by that of the best peer; under 1 fibersock needs less")
	d.text(20, 50, "t-muted", "start", "fibersock ÷ best Go library, by each scenario's own figure, logarithmic: to the left fibersock needs less, to the right the peer")
	scale := r.ratioScale(scenarios)
	scale.axis(d, len(scenarios))
	for i, s := range scenarios {
		peer, name := r.Best(s)
		ours := r.Ours(s)
		scale.draw(d, headHeight+rowHeight*float64(i), ours/peer)
		y := headHeight + rowHeight*float64(i) + 18
		d.text(overviewStart-14, y, "t", "end", s.Title)
		d.text(overviewEnd+24, y, "t", "start", ratio(ours, peer)+" × "+name)
	}
	return d.end()
}

// ratioScale reaches as far to the left of 1 as to the right.
type ratioScale struct{ octaves float64 }

func (r *Results) ratioScale(scenarios []*Scenario) ratioScale {
	octaves := 1.0
	for _, s := range scenarios {
		peer, _ := r.Best(s)
		ours := r.Ours(s)
		octaves = max(octaves, math.Ceil(math.Abs(math.Log2(ours/peer))))
	}
	return ratioScale{octaves}
}

func (sc ratioScale) x(ratio float64) float64 {
	middle := float64(overviewStart+overviewEnd) / 2
	return middle + math.Log2(ratio)/sc.octaves*(overviewEnd-overviewStart)/2
}

func (sc ratioScale) axis(d *drawing, rows int) {
	bottom := headHeight + rowHeight*float64(rows)
	for n := -sc.octaves; n <= sc.octaves; n++ {
		x := sc.x(math.Exp2(n))
		class := "grid"
		if n == 0 {
			class = "axis"
		}
		d.line(x, headHeight-4, x, bottom, class)
		d.text(x, headHeight-10, "t-muted", "middle", fmt.Sprintf("%g", math.Round(math.Exp2(n)*100)/100))
	}
}

func (sc ratioScale) draw(d *drawing, y, ratio float64) {
	x, middle := sc.x(ratio), sc.x(1)
	class := "b-good"
	if ratio > 1 {
		class = "b-bad"
	}
	d.bar(min(x, middle), y+(rowHeight-barHeight)/2, math.Abs(x-middle), barHeight, class)
}
