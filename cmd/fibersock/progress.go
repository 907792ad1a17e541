package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progressBar shows on a terminal the number of finished cases, in one line
// that is written over and over. Any number of goroutines may use it. A nil
// *progressBar shows nothing.
type progressBar struct {
	w     io.Writer
	total int
	start time.Time
	stop  chan struct{}
	shown sync.WaitGroup

	mu           sync.Mutex // guards the rest
	done, failed int
	again        int
}

const (
	progressInterval = 100 * time.Millisecond // between two pictures of the bar
	progressColumns  = 79                     // a terminal of 80 columns does not wrap them
)

// showProgress begins to show a bar on w.
func showProgress(w io.Writer, total int) *progressBar {
	b := &progressBar{w: w, total: total, start: time.Now(), stop: make(chan struct{})}
	b.shown.Go(b.show)
	return b
}

// add counts one more case that is done.
func (b *progressBar) add(failed bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	if failed {
		b.failed++
	}
}

// repeat shows that a number of cases is judged again.
func (b *progressBar) repeat(cases int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again = cases
}

// end takes the bar off the terminal.
func (b *progressBar) end() {
	if b == nil {
		return
	}
	close(b.stop)
	b.shown.Wait()
}

// show draws until end is called.
func (b *progressBar) show() {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		b.draw(b.line(time.Since(b.start)))
		select {
		case <-ticker.C:
		case <-b.stop:
			b.draw("")
			io.WriteString(b.w, "\r")
			return
		}
	}
}

// draw writes line over the one before, without escape sequences, which not
// every terminal knows.
func (b *progressBar) draw(line string) {
	fmt.Fprintf(b.w, "\r%-*s", progressColumns, line)
}

// line is the bar after a time, in progressColumns at most as long as the
// numbers are reasonable.
func (b *progressBar) line(elapsed time.Duration) string {
	const width = 30
	b.mu.Lock()
	done, failed, again := b.done, b.failed, b.again
	b.mu.Unlock()
	part := 1.0
	if b.total > 0 {
		part = min(float64(done)/float64(b.total), 1)
	}
	full := int(part * width)
	bar := strings.Repeat("#", full) + strings.Repeat("-", width-full)
	line := fmt.Sprintf("%d/%d [%s] %3d%%  %d failed  %s", done, b.total, bar, int(part*100), failed, elapsed.Truncate(time.Second))
	if again > 0 {
		line += fmt.Sprintf("  %d again", again)
	}
	return line
}
