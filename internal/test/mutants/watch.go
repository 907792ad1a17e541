package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A usage is the use of a process.
type usage struct {
	cpu  time.Duration // processor time
	idle time.Duration // the longest time in which no thread was running or waiting for a processor
}

// watch measures a process until done is closed, and calls exceeded once if it
// uses more than limit. A busy machine makes a process slow, but not idle. On a
// system without /proc nothing is measured.
func watch(pid int, done <-chan struct{}, limit usage, exceeded func()) (most usage) {
	const (
		period = 20 * time.Millisecond
		tick   = 10 * time.Millisecond // of the times in /proc
	)
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	var idleSince time.Time
	for {
		select {
		case <-ticker.C:
		case <-done:
			return most
		}
		stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		var ticks int
		busy := len(stats) == 0
		for _, name := range stats {
			stat, err := os.ReadFile(name)
			fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // state, ppid, …, utime, stime
			if err != nil || len(fields) < 13 {
				continue // the thread has ended
			}
			busy = busy || string(fields[0]) != "S"
			user, _ := strconv.Atoi(string(fields[11]))
			system, _ := strconv.Atoi(string(fields[12]))
			ticks += user + system
		}
		now := time.Now()
		cpu := time.Duration(ticks) * tick
		if busy || cpu > most.cpu || idleSince.IsZero() {
			idleSince = now
		}
		most.cpu = max(most.cpu, cpu)
		most.idle = max(most.idle, now.Sub(idleSince))
		if most.cpu > limit.cpu || most.idle > limit.idle {
			exceeded()
			return most
		}
	}
}
