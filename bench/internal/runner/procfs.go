package runner

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat, USER_HZ: 100 a second on every
// system that Go runs on.
const tick = 10 * time.Millisecond

// A usage is the processor time that a process has had at one moment.
type usage struct {
	threads      map[int]time.Duration // by thread, to the nanosecond; nil if unknown
	user, system time.Duration         // of all threads, ended ones too, by ticks
}

// since returns the difference of u and before. The total is that of the
// threads, to the nanosecond, and the parts share it in the ratio of the ticks.
// If a thread has ended meanwhile, the total is that of the ticks.
func (u usage) since(before usage) (user, system time.Duration) {
	user, system = u.user-before.user, u.system-before.system
	total, ok := u.threadsSince(before)
	if !ok {
		return user, system
	}
	if user+system <= 0 {
		return 0, total
	}
	user = time.Duration(float64(total) * float64(user) / float64(user+system))
	return user, total - user
}

func (u usage) threadsSince(before usage) (total time.Duration, ok bool) {
	if u.threads == nil || before.threads == nil {
		return 0, false
	}
	for id, had := range before.threads {
		if _, alive := u.threads[id]; !alive {
			return 0, false
		}
		total -= had
	}
	for _, has := range u.threads {
		total += has
	}
	return total, true
}

var errProc = errors.New("not in the form that is expected")

// parseSchedstat returns the time on a processor from
// /proc/PID/task/TID/schedstat: its first number, in nanoseconds.
func parseSchedstat(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("schedstat: %q: %w", text, errProc)
	}
	return time.Duration(ns), nil
}

// parseStat returns utime and stime, fields 14 and 15 of /proc/PID/stat. Field
// 2 is the program's name in parentheses and may have any characters, so
// counting begins after the last parenthesis.
func parseStat(text string) (user, system time.Duration, err error) {
	const afterName = 11 // fields from the third to the 13th
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < afterName+2 {
		return 0, 0, fmt.Errorf("stat: %q: %w", text, errProc)
	}
	utime, err1 := strconv.ParseInt(fields[afterName], 10, 64)
	stime, err2 := strconv.ParseInt(fields[afterName+1], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("stat: %q: %w", text, errProc)
	}
	return time.Duration(utime) * tick, time.Duration(stime) * tick, nil
}

// parseKilobytes returns a line such as "Rss: 1712 kB" of smaps_rollup or
// meminfo, in bytes.
func parseKilobytes(text, name string) (int64, error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name+":")
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q: %w", name, rest, errProc)
		}
		return kb << 10, nil
	}
	return 0, fmt.Errorf("%s is not there: %w", name, errProc)
}

// parsePortRange returns the number of ports from a first to a last one; 0 if
// text is something else.
func parsePortRange(text string) int {
	var first, last int
	if n, err := fmt.Sscan(text, &first, &last); n != 2 || err != nil || last < first {
		return 0
	}
	return last - first + 1
}
