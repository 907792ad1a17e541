// Package report stores the results of a benchmark run, and renders them as
// JSON, as a page in Markdown and as charts in SVG. It computes everything from
// the runs in Results, and knows no server.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// SchemaVersion changes when a reader of older results would misread newer
// ones.
const SchemaVersion = 1

// Results is one run of the benchmark, the content of its JSON file.
// bench/README.md describes the file.
type Results struct {
	Schema      int        `json:"schema"`
	Date        time.Time  `json:"date"`               // of the start
	Revision    string     `json:"revision,omitempty"` // commit of this repository, with "-dirty" if files differ from it
	Mode        string     `json:"mode"`               // "quick" or "full"
	Seconds     float64    `json:"seconds"`
	Interrupted bool       `json:"interrupted,omitempty"` // ended before all rounds were run
	Machine     Machine    `json:"machine"`
	Servers     []Peer     `json:"servers"`
	Clients     []Peer     `json:"clients,omitempty"`
	Scenarios   []Scenario `json:"scenarios"`
}

// Machine describes the machine and the revision.
type Machine struct {
	CPU         string `json:"cpu"`
	Processors  int    `json:"processors"`
	MemoryBytes int64  `json:"memory_bytes,omitempty"`
	System      string `json:"system"` // GOOS/GOARCH
	Kernel      string `json:"kernel,omitempty"`
	Congestion  string `json:"congestion,omitempty"` // TCP's congestion control, on which the cost of large messages depends
	Go          string `json:"go"`
	ServerOn    string `json:"server_on"`  // processors the servers run on, such as "0"; empty: anywhere
	LoadOn      string `json:"load_on"`    // and the load
	Accounting  string `json:"accounting"` // source of processor times
	// Disturbances: shares of all processors used by other processes, and by
	// other guests of the hypervisor.
	Others float64 `json:"others,omitempty"`
	Stolen float64 `json:"stolen,omitempty"`
}

// Kind is the role of a server or client in the comparison.
type Kind string

// The kinds. Only libraries can be the best peer in comparisons.
const (
	Ours    Kind = "ours"    // this repository
	Library Kind = "library" // a WebSocket library in Go
	Foreign Kind = "foreign" // a WebSocket library in another language
	Limit   Kind = "limit"   // a minimal echo, not a library
	Before  Kind = "before"  // this repository at an earlier commit
)

// Peer is one server or client.
type Peer struct {
	Name    string `json:"name"`
	Kind    Kind   `json:"kind"`
	Module  string `json:"module,omitempty"`
	Version string `json:"version,omitempty"`
	UTF8    bool   `json:"utf8"` // checks that text is UTF-8
	Loop    string `json:"loop,omitempty"`
	Notes   string `json:"notes,omitempty"`
	Missing string `json:"missing,omitempty"` // the reason why it took part in nothing
}

// Scenario is one measurement, with the outcome of each peer.
type Scenario struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Detail   string    `json:"detail"`  // the parameters, in a sentence
	Unit     string    `json:"unit"`    // the counted unit: "message", "delivery", "cycle", "connection"
	Primary  Metric    `json:"primary"` // for ranks and comparisons; less is better
	Clients  bool      `json:"clients,omitempty"`
	Rounds   int       `json:"rounds"` // that were asked for
	Outcomes []Outcome `json:"outcomes"`
}

// Outcome is the result of one peer in one scenario. Failed and Absent exclude
// each other; with either, Median is empty.
type Outcome struct {
	Peer   string  `json:"peer"`
	Failed string  `json:"failed,omitempty"` // the violation
	Absent string  `json:"absent,omitempty"` // the reason why it takes no part
	Runs   []Run   `json:"runs,omitempty"`
	Median Figures `json:"median,omitempty"` // of each metric by itself; user and system share that of CPU as all runs together do
}

// Run is one measurement.
type Run struct {
	Round   int     `json:"round"`
	Figures Figures `json:"figures"`
}

// Figures are the values of metrics. One that was not measured is not there.
type Figures map[Metric]float64

// Rounded returns f with six significant digits, which is more than is known.
func (f Figures) Rounded() Figures {
	rounded := make(Figures, len(f))
	for metric, v := range f {
		rounded[metric], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	}
	return rounded
}

// Metric names a figure, its unit in its name.
type Metric string

// The metrics. "Per message" is per Scenario.Unit.
const (
	CPU           Metric = "cpu_ns"          // processor time of the measured process per message
	CPUUser       Metric = "cpu_user_ns"     // the part outside the kernel
	CPUSystem     Metric = "cpu_system_ns"   // the part in the kernel
	EER           Metric = "eer"             // messages per second for each percent of a processor: 10,000,000 / CPU
	Busy          Metric = "busy"            // processor time of the measured process / (elapsed time × its processors)
	LoadBusy      Metric = "load_busy"       // processor time of the load / elapsed time
	Rate          Metric = "per_second"      // messages per second
	P50           Metric = "p50_us"          // latency that half of the messages do not exceed
	P99           Metric = "p99_us"          //
	P999          Metric = "p999_us"         //
	Allocs        Metric = "allocs"          // heap allocations of the measured process per message
	AllocBytes    Metric = "alloc_bytes"     // and their bytes
	RSS           Metric = "rss_bytes"       // resident memory of the measured process at the end of the run
	ConnBytes     Metric = "conn_bytes"      // resident memory per idle connection
	ConnHeapBytes Metric = "conn_heap_bytes" // the part of it that is the live heap of Go
	Messages      Metric = "messages"        // how many were measured
	Seconds       Metric = "seconds"         // how long was measured
)

// Peer returns the server or client of that name.
func (r *Results) Peer(s *Scenario, name string) Peer {
	list := r.Servers
	if s.Clients {
		list = r.Clients
	}
	for _, p := range list {
		if p.Name == name {
			return p
		}
	}
	return Peer{Name: name}
}

// Write writes r as JSON.
func (r *Results) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Read reads the output of Write.
func Read(in io.Reader) (*Results, error) {
	r := new(Results)
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return nil, fmt.Errorf("report: results: %w", err)
	}
	if r.Schema != SchemaVersion {
		return nil, fmt.Errorf("report: results of schema %d; this program reads %d", r.Schema, SchemaVersion)
	}
	return r, nil
}
