package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/internal/test/usage"
)

// sample is what the subject is at one moment.
type sample struct {
	Heap       int64 // bytes in use, after a collection
	RSS        int64 // bytes of memory that the process has; 0 where the system does not say
	Goroutines int
	Files      int // descriptors; 0 where the system does not show them

	// Of the servers, all together.
	Open, Opening      int64
	Accepted, Messages uint64
	Ended, Cut         uint64
	Refused            uint64
	Panics             uint64
	Backlog            int64

	Visiting int64  // connections of clients to hostile servers
	Visits   uint64 // that have ended
	Endless  uint64 // that took longer than every limit
}

func (s *subject) sample() sample {
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
	m.Visiting, m.Visits, m.Endless = s.open.Load(), s.visits.Load(), s.peculiar.Load()
	m.Goroutines = runtime.NumGoroutine()
	m.Files = usage.Files()
	m.Heap, m.RSS = min(usage.Heap(), usage.Heap()), rss() // less of what was made during the collection
	return m
}

// rss returns the resident set size in bytes, 0 if it is not known.
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
