package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/internal/test/usage"
)

// sample is the usage of the target at one moment.
type sample struct {
	Heap       int64 // bytes in use, after a collection
	RSS        int64 // resident bytes; 0 if unknown
	Goroutines int
	Files      int // descriptors; 0 if unknown

	// Sums over the servers.
	Open, Opening      int64
	Accepted, Messages uint64
	Ended, Cut         uint64
	Refused            uint64
	Panics             uint64
	Backlog            int64

	Visiting int64  // open connections to hostile servers
	Visits   uint64 // ended ones
	Unended  uint64 // ended ones that exceeded all limits
}

func (s *target) sample() sample {
	var m sample
	for _, srv := range s.servers {
		st := srv.Stats()
		m.Open += st.Open
		m.Opening += st.Opening
		m.Accepted += st.Accepted
		m.Messages += st.Received.Messages + st.Sent.Messages
		m.Ended += st.Ended.ByClient + st.Ended.ByServer + st.Ended.Failed + st.Ended.Lost
		m.Refused += st.Refused.Status4xx + st.Refused.Status5xx + st.Unfinished
		m.Cut += st.Cut
		m.Panics += st.Panics
		m.Backlog += st.Backlog
	}
	m.Visiting, m.Visits, m.Unended = s.open.Load(), s.visits.Load(), s.unended.Load()
	m.Goroutines = runtime.NumGoroutine()
	m.Files = usage.Files()
	m.Heap, m.RSS = min(usage.Heap(), usage.Heap()), rss() // the second collection frees garbage of the first
	return m
}

// rss returns the resident set size in bytes, 0 if it is unknown.
func rss() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, found := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(after)
	if !found || len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}
