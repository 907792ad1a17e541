package runner

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress shows the progress of a run: on a terminal as a bar, elsewhere as
// lines.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time
	begun    time.Time
	total    time.Duration // estimated
	done     time.Duration // of the estimate
	shown    string        // the last line that is not a bar
}

func newProgress(out io.Writer, total time.Duration) *progress {
	return &progress{out: out, terminal: isTerminal(out), now: time.Now, begun: time.Now(), total: total}
}

// isTerminal reports whether f is a character device other than the null
// device.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

// at names the current step and the peer.
func (p *progress) at(step, peer string) {
	if !p.terminal {
		if step != p.shown {
			fmt.Fprintf(p.out, "%3.0f %%  %s\n", 100*p.share(), step)
			p.shown = step
		}
		return
	}
	const width = 24
	full := int(p.share()*width + 0.5)
	line := fmt.Sprintf("%s%s %3.0f %%  %s left  %s, %s",
		strings.Repeat("█", full), strings.Repeat("░", width-full), 100*p.share(), p.left(), step, peer)
	fmt.Fprint(p.out, "\r\x1b[K"+clip(line))
}

// clip keeps a line from being wrapped, which could not be drawn over.
func clip(line string) string {
	const columns = 79
	if letters := []rune(line); len(letters) > columns {
		return string(letters[:columns-1]) + "…"
	}
	return line
}

// begin starts the estimated part.
func (p *progress) begin() { p.begun = p.now() }

// add completes a part of the estimate.
func (p *progress) add(estimate time.Duration) { p.done += estimate }

// say prints a permanent line.
func (p *progress) say(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// end removes the bar.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func (p *progress) share() float64 {
	if p.total <= 0 {
		return 0
	}
	return min(1, p.done.Seconds()/p.total.Seconds())
}

// left is the estimate of the remaining time, scaled by the time of the
// completed parts.
func (p *progress) left() string {
	rest := max(0, p.total-p.done)
	if p.done > 2*time.Second {
		rest = time.Duration(float64(rest) * p.now().Sub(p.begun).Seconds() / p.done.Seconds())
	}
	rest = rest.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(rest.Minutes()), int(rest.Seconds())%60)
}
