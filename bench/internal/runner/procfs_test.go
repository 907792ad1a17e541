package runner

import (
	"strings"
	"testing"
	"time"
)

func TestProcessorTimesAreReadFromProc(t *testing.T) {
	stat := func(name string) string {
		return "4711 (" + name + ") R 1 1 1 0 -1 4194304 242 0 1 0 59 7 0 0 20 0 1 0 1417236 3133440 362 184467"
	}
	for _, c := range []struct {
		text         string
		user, system time.Duration
		ok           bool
	}{
		{stat("server"), 590 * time.Millisecond, 70 * time.Millisecond, true},
		{stat("my server"), 590 * time.Millisecond, 70 * time.Millisecond, true},
		{stat(") S 9 9 ("), 590 * time.Millisecond, 70 * time.Millisecond, true},
		{"4711 (server) R 1 1", 0, 0, false},
		{strings.Replace(stat("server"), " 59 ", " x ", 1), 0, 0, false},
		{"", 0, 0, false},
	} {
		user, system, err := parseStat(c.text)
		if user != c.user || system != c.system || (err == nil) != c.ok {
			t.Errorf("%q: %v, %v, %v", c.text, user, system, err)
		}
	}
	for text, want := range map[string]time.Duration{"593032287 431389443 246\n": 593032287, "0 0 0\n": 0, "many": -1, "": -1} {
		got, err := parseSchedstat(text)
		if want < 0 && err == nil || want >= 0 && got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestMemoryIsReadFromProc(t *testing.T) {
	rollup := "55aa8828c000-7ffdc2457000 ---p 00000000 00:00 0    [rollup]\nRss:                1712 kB\nPss:                 302 kB\nPss_Anon: 7 kB\n"
	for name, want := range map[string]int64{"Rss": 1712 << 10, "Pss": 302 << 10, "Swap": -1} {
		got, err := parseKilobytes(rollup, name)
		if want < 0 && err == nil || want >= 0 && got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, want)
		}
	}
	if _, err := parseKilobytes("Rss: lots kB\n", "Rss"); err == nil {
		t.Error("a number that is none passes")
	}
}

func TestProcessorTimeBetweenTwoMoments(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		before, after usage
		user, system  time.Duration
	}{
		"ticks share the time of threads, new ones included": {
			usage{map[int]time.Duration{1: 100 * ms}, 60 * ms, 40 * ms},
			usage{map[int]time.Duration{1: 150 * ms, 2: 30 * ms}, 80 * ms, 100 * ms},
			20 * ms, 60 * ms,
		},
		"less than a tick": {
			usage{map[int]time.Duration{1: 100 * ms}, 60 * ms, 40 * ms},
			usage{map[int]time.Duration{1: 104 * ms}, 60 * ms, 40 * ms},
			0, 4 * ms,
		},
		"a thread that has ended took its time with it": {
			usage{map[int]time.Duration{1: 100 * ms, 2: 500 * ms}, 400 * ms, 200 * ms},
			usage{map[int]time.Duration{1: 150 * ms}, 430 * ms, 220 * ms},
			30 * ms, 20 * ms,
		},
		"no time of threads": {
			usage{nil, 400 * ms, 200 * ms},
			usage{nil, 430 * ms, 220 * ms},
			30 * ms, 20 * ms,
		},
	} {
		if user, system := c.after.since(c.before); user != c.user || system != c.system {
			t.Errorf("%s: %v and %v, want %v and %v", name, user, system, c.user, c.system)
		}
	}
}

func TestProcessorOfTheMachine(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: Some Processor @ 3 GHz\n": "Some Processor @ 3 GHz",
		"processor\t: 0\nCPU part\t: 0xd0c\n":                    "0xd0c",
		"":                                                       "unknown",
	} {
		if got := cpuModel(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestOtherWorkIsToldFromOwn(t *testing.T) {
	const text = "cpu  100 20 300 5000 60 7 3 40 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
	busy, stolen, err := parseMachine(text)
	if err != nil || busy != 4300*time.Millisecond || stolen != 400*time.Millisecond {
		t.Errorf("%v busy, %v stolen, %v; want 430 and 40 ticks", busy, stolen, err)
	}
	for _, wrong := range []string{"", "cpu 1 2 3", "cpu0 1 1 1 1 1 1 1 1", "cpu  1 1 1 x 1 1 1 1"} {
		if _, _, err := parseMachine(wrong); err == nil {
			t.Errorf("%q passes", wrong)
		}
	}
	before := noise{busy: time.Second, own: time.Second, at: time.Unix(0, 0)}
	after := noise{busy: 9 * time.Second, own: 4 * time.Second, stolen: time.Second, at: time.Unix(10, 0)}
	if others, stolen := after.since(before, 2); others != 0.25 || stolen != 0.05 {
		t.Errorf("others %v, stolen %v; want 5 s and 1 s of 20", others, stolen)
	}
}

func TestLocalPortsAreReadFromProc(t *testing.T) {
	for text, want := range map[string]int{"32768\t60999\n": 28232, "1024 1024": 1, "9 8": 0, "1024": 0, "": 0, "a b": 0} {
		if got := parsePortRange(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
