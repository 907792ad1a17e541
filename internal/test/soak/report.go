package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

const tableHead = `| time | connections | visits | messages/s | ended | refused | attacks' cut | heap MiB | RSS MiB | backlog MiB | goroutines | descriptors | panics | p99 of probes |
| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
`

// String returns the row in Markdown.
func (r row) String() string {
	return fmt.Sprintf("| %v | %d | %d | %.0f | %d | %d | %d | %.1f | %.1f | %.1f | %d | %d | %d | %v |\n",
		r.At.Round(time.Second), r.Open+r.Opening, r.Visiting, r.PerSecond, r.Ended, r.Refused, r.Cut,
		mib(r.Heap), mib(r.RSS), mib(r.Backlog), r.Goroutines, r.Files, r.Panics, r.P99.Round(100*time.Microsecond))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// A measure must be flat: its mean over the last quarter of the time must not
// exceed that over the second quarter by more than a tenth and slack.
type measure struct {
	name  string
	slack float64
	of    func(s sample) float64
}

var measures = []measure{
	{"heap in MiB", 8, func(s sample) float64 { return mib(s.Heap) }},
	{"RSS in MiB", 32, func(s sample) float64 { return mib(s.RSS) }},
	{"goroutines", 100, func(s sample) float64 { return float64(s.Goroutines) }},
	{"descriptors", 100, func(s sample) float64 { return float64(s.Files) }},
}

// faults returns the failed checks.
func (res *result) faults() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if n := len(res.rows) / 4; n == 0 {
		fault("%d samples are too few", len(res.rows))
	} else {
		for _, m := range measures {
			second, last := m.mean(res.rows[n:2*n]), m.mean(res.rows[len(res.rows)-n:])
			if last > second*1.1+m.slack {
				fault("%s: %.1f in the second quarter, %.1f in the last", m.name, second, last)
			}
		}
	}
	if res.end.Open != 0 || res.end.Opening != 0 {
		fault("%d connections are open at the end", res.end.Open+res.end.Opening)
	}
	if res.end.Goroutines > res.start.Goroutines {
		fault("%d goroutines at the end, %d at the start", res.end.Goroutines, res.start.Goroutines)
	}
	if res.end.Files > res.start.Files {
		fault("%d descriptors at the end, %d at the start", res.end.Files, res.start.Files)
	}
	if res.end.Backlog != 0 {
		fault("%d bytes are buffered at the end", res.end.Backlog)
	}
	if res.end.Panics != 0 {
		fault("%d panics", res.end.Panics)
	}
	if n := res.unended + res.end.Unended; n != 0 {
		fault("%d attacks were not ended in time", n)
	}
	if res.lost != 0 {
		fault("%d connections of well-behaved peers failed", res.lost)
	}
	return faults
}

func (m measure) mean(rows []row) float64 {
	sum := 0.0
	for _, r := range rows {
		sum += m.of(r.sample)
	}
	return sum / float64(len(rows))
}

// markdown returns the report.
func (res *result) markdown(faults []string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# Soak\n\n")
	p("%d connections of well-behaved and hostile peers for %v, to servers with both loops, plain and over TLS; and clients of hostile servers.\n", res.conns, res.time)
	p("Written by `make soak SOAKTIME=%v`; [description](../security.md#soak-test).\n\n", res.time)
	p("- %s, %s/%s, %d processors%s; %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), time.Now().UTC().Format(time.DateOnly))
	p("- servers and clients of hostile servers in one process, which is measured; all other peers in another on the same machine\n")
	p("- %d connections accepted, %d connections to hostile servers, %d attacks on servers\n", res.end.Accepted, res.end.Visits, res.attacks)
	p("- for each 1,000 connections")
	for _, k := range kinds {
		p(", %d peers %s", k.thousand, k.name)
	}
	p(", and %d clients of hostile servers; besides, %d probes measure echoes\n\n", clientsPerThousand, probes)
	b.WriteString(tableHead)
	for _, r := range res.rows {
		b.WriteString(r.String())
	}
	p("\nStart, without connections: heap %.1f MiB, RSS %.1f MiB, %d goroutines, %d descriptors. ", mib(res.start.Heap), mib(res.start.RSS), res.start.Goroutines, res.start.Files)
	p("End: heap %.1f MiB, RSS %.1f MiB, %d goroutines, %d descriptors.\n\n", mib(res.end.Heap), mib(res.end.RSS), res.end.Goroutines, res.end.Files)
	if len(faults) == 0 {
		p("**Flat**: ")
	} else {
		p("**Not flat**: %s. ", strings.Join(faults, "; "))
	}
	p("flat means that in the last quarter of the time the mean of heap, RSS, goroutines and descriptors is at most a tenth")
	for _, m := range measures {
		p(", %.0f (%s)", m.slack, m.name)
	}
	p(" above that of the second quarter; at the end goroutines and descriptors are as at the start; no panic; every attack was ended in time; no well-behaved peer failed.\n")
	for _, text := range slices.Sorted(maps.Keys(res.failures)) {
		p("- %d times: %s\n", res.failures[text], text)
	}
	return b.String()
}

// processor returns the model of the processor, "" if it is unknown.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, after, found := strings.Cut(string(info), "model name\t: ")
	model, _, _ := strings.Cut(after, "\n")
	if !found {
		return ""
	}
	return " (" + model + ")"
}
