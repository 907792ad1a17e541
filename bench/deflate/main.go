// Command deflate compares permessage-deflate of this repository with that of
// other libraries, of compress/flate and of zlib: processor time and bytes of a
// message, on one goroutine.
//
//	go run -tags zlib ./deflate
//
// Without the tag, and zlib's header, zlib takes no part.
//
// It writes the tables of docs/performance/deflate.md.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
	"github.com/fibersock/fibersock/bench/internal/runner"
	"github.com/fibersock/fibersock/internal/test/traffic"
)

func main() {
	rounds := flag.Int("rounds", 9, "`number` of rounds of each comparison")
	least := flag.Duration("time", 200*time.Millisecond, "processor `time` of each measurement")
	only := flag.String("run", "", "compare only those whose title contains this `text`")
	page := flag.String("out", "", "`file` to write the page into, which is shown as well")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	var out bytes.Buffer
	out.WriteString(intro)
	err := tables(io.MultiWriter(&out, os.Stdout), *rounds, *least, *only)
	if err == nil && *page != "" {
		err = os.WriteFile(*page, out.Bytes(), 0o644)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "deflate: %v\n", err)
		os.Exit(1)
	}
}

// intro begins the page.
const intro = `# permessage-deflate: processor time and bytes

Written by make bench-deflate, which runs [bench/deflate](../../bench/deflate). One goroutine compresses, or inflates, one message after the other.
The processor time is that of the process, garbage collection included, for each message. Libraries are measured through a connection of theirs, with the
header of the frame; package wire/deflate, compress/flate and zlib by their own calls. The bytes are those of the compressed payload.
Ratios under 1 mean that fibersock needs less. zlib has the memory level 5 for a window of 12 bits, and 8 for one of 15.

The ticks leave little to gain with a window of 12 bits: the shortest encoding of them with the fixed code, found by trying all matches at all places, has
41.0 bytes, which is 0.92 of lxzan/gws and 0.93 of zlib -6. Such a search takes several times the processor time. Matches of 3 bytes, which fibersock does
not search for, would save 1 % there and add 0.4 % to API objects.

`

// A comparison is one table.
type comparison struct {
	title string
	streams
	contenders []contender
}

func comparisons() []comparison {
	const many = 8000
	ticks := streams{traffic.Make(2000, traffic.Tick), 1}
	kinds := []struct {
		title string
		streams
	}{
		{"ticks, JSON of 215 bytes", ticks},
		{"API objects, JSON of 1 KiB", streams{traffic.Make(1000, traffic.Object), 1}},
		{"chat, JSON of 200 bytes", streams{traffic.Make(2000, traffic.Chat), 1}},
		{"protobuf, 217 bytes", streams{traffic.Make(2000, traffic.Protobuf), 1}},
	}
	var list []comparison
	for _, k := range kinds {
		list = append(list, comparison{"Window of 12 bits: " + k.title, k.streams,
			[]contender{ours(12, true), gwsServer(12, true), zlib(12, 5, true)}})
	}
	list = append(list, comparison{fmt.Sprintf("Window of 12 bits, %d connections in turn: %s", many, kinds[0].title), streams{ticks.messages, many},
		[]contender{ours(12, true), gwsServer(12, true), zlib(12, 5, true)}})
	for _, k := range kinds {
		list = append(list, comparison{"Window of 15 bits: " + k.title, k.streams,
			[]contender{ours(15, true), gwsServer(15, true), coderServer(true), zlib(15, 8, true)}})
	}
	for _, size := range []int{200, 1 << 10, 4 << 10, 32 << 10} {
		list = append(list, comparison{fmt.Sprintf("No takeover: JSON of %d bytes", size), streams{objects(size), 1},
			[]contender{ours(15, false), standard(), gwsServer(15, false), coderServer(false), gorillaServer(), zlib(15, 8, false)}})
	}
	for _, k := range kinds[:2] {
		list = append(list,
			comparison{"Inflating, no takeover: " + k.title, compressed(k.streams, 15, false),
				[]contender{oursInflating(15, false), standardInflating(15, false), zlibInflating(15, false)}},
			comparison{"Inflating, window of 12 bits: " + k.title, compressed(k.streams, 12, true),
				[]contender{oursInflating(12, true), standardInflating(12, true), zlibInflating(12, true)}})
	}
	large := streams{objects(32 << 10), 1}
	return append(list, comparison{"Inflating, no takeover: JSON of 32 KiB", compressed(large, 15, false),
		[]contender{oursInflating(15, false), standardInflating(15, false), zlibInflating(15, false)}})
}

// objects returns messages of size bytes, made of API objects.
func objects(size int) [][]byte {
	return traffic.Make(max(20, 1<<20/size), func(r *rand.Rand, i int) []byte {
		var p []byte
		for len(p) < size {
			p = append(p, traffic.Object(r, i)...)
		}
		return p[:size]
	})
}

// compressed returns the messages as ours compresses them. The first one refers
// to nothing before it, so that the list can be inflated again and again.
func compressed(s streams, bits int, takeover bool) streams {
	var list [][]byte
	c := newOurs(bits, takeover)
	for _, p := range s.messages {
		out, ok := c.AppendMessage(nil, p)
		if !ok {
			continue
		}
		list = append(list, out)
	}
	return streams{list, s.connections}
}

// tables writes a table of each comparison.
func tables(w io.Writer, rounds int, least time.Duration, only string) error {
	m := runner.Machine()
	fmt.Fprintf(w, "%s, %s, %s, %s, zlib %s, %s. Medians of %d rounds that alternate between the contenders.\n",
		m.CPU, m.Kernel, m.Go, m.System, zlibVersion(), versions(), rounds)
	for _, c := range comparisons() {
		if !strings.Contains(c.title, only) {
			continue
		}
		present := slices.DeleteFunc(c.contenders, func(c contender) bool { return c.open == nil })
		figures, err := compare(c.streams, present, rounds, least)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		fmt.Fprintf(w, "\n### %s\n\n| | bytes | µs | bytes, ours / this | CPU, ours / this |\n|---|---|---|---|---|\n", c.title)
		for _, f := range figures {
			fmt.Fprintf(w, "| %s | %.1f | %.2f | %.2f | %.2f |\n",
				f.name, f.bytes, report.Median(f.nanos)/1e3, figures[0].bytes/f.bytes, report.Median(f.ratios))
		}
	}
	return nil
}

// versions names the modules of the libraries.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var list []string
	for _, m := range info.Deps {
		switch m.Path {
		case "github.com/lxzan/gws", "github.com/coder/websocket", "github.com/gorilla/websocket", "github.com/klauspost/compress":
			list = append(list, strings.TrimPrefix(m.Path, "github.com/")+" "+m.Version)
		}
	}
	return strings.Join(list, ", ")
}
