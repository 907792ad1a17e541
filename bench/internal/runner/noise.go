package runner

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// noise is the use of the processors since the machine's start: by all
// processes, by other guests of the hypervisor, and by this process and its
// children.
type noise struct {
	busy, stolen, own time.Duration
	at                time.Time
}

// since returns the shares of all processors used since before by other
// processes and by other guests.
func (n noise) since(before noise, processors int) (others, stolen float64) {
	all := n.at.Sub(before.at).Seconds() * float64(max(processors, 1))
	if all <= 0 {
		return 0, 0
	}
	others = ((n.busy - before.busy) - (n.own - before.own)).Seconds() / all
	return max(others, 0), (n.stolen - before.stolen).Seconds() / all
}

// parseMachine returns the times of the first line of /proc/stat: user, nice,
// system, idle, iowait, irq, softirq, steal.
func parseMachine(text string) (busy, stolen time.Duration, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	const steal = 8
	if len(fields) <= steal || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("stat: %.80q: %w", line, errProc)
	}
	for i, field := range fields[1 : steal+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("stat: %.80q: %w", line, errProc)
		}
		switch i + 1 {
		case 4, 5: // idle, and waiting for a disk
		case steal:
			stolen = time.Duration(n) * tick
		default:
			busy += time.Duration(n) * tick
		}
	}
	return busy, stolen, nil
}
