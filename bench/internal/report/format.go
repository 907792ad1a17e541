package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number writes v with three significant digits, and commas between thousands.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	if digits <= 0 {
		scale := math.Pow(10, float64(-digits))
		return commas(strconv.FormatFloat(math.Round(v/scale)*scale, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'f', min(digits, 3), 64)
}

func commas(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// small formats a figure near zero, such as allocations per message. Values
// below 0.005 are 0.
func small(v float64) string {
	if v < 0.005 {
		return "0"
	}
	if v >= 100 {
		return number(v)
	}
	return trimZeros(strconv.FormatFloat(v, 'f', 2, 64))
}

func trimZeros(s string) string {
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// micros writes a latency given in microseconds.
func micros(v float64) string {
	switch {
	case v >= 1e6:
		return number(v/1e6) + " s"
	case v >= 1e3:
		return number(v/1e3) + " ms"
	}
	return number(v) + " µs"
}

// memory writes a number of bytes.
func memory(v float64) string {
	switch {
	case v >= 0 && v < 0.5: // less than an allocation: periodic work, divided by the messages
		return "0 B"
	case v >= 1<<30:
		return number(v/(1<<30)) + " GiB"
	case v >= 1<<20:
		return number(v/(1<<20)) + " MiB"
	case v >= 10<<10:
		return number(v/(1<<10)) + " KiB"
	}
	return number(v) + " B"
}

// ratio writes v / of as a multiple.
func ratio(v, of float64) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v/of)
}

// value writes v as its metric is shown.
func value(m Metric, v float64) string {
	switch m {
	case P50, P99, P999:
		return micros(v)
	case RSS, ConnBytes, ConnHeapBytes, AllocBytes:
		return memory(v)
	case Allocs:
		return small(v)
	case Busy, LoadBusy:
		return fmt.Sprintf("%.0f %%", 100*v)
	case Seconds:
		return number(v) + " s"
	}
	return number(v)
}
