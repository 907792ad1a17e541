package interop

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/permessage"
)

// A mode is a configuration of permessage-deflate in a peer.
type mode struct {
	name   string
	config any  // options.theirs
	role   role // the only role that has it; "": both
	once   bool // with our largest window only
}

// ourMode is a configuration of permessage-deflate in our ends.
type ourMode struct {
	name    string
	deflate *permessage.Deflate
}

// ourModes run with every mode of a peer, ourWindows with its first one.
var (
	ourModes = []ourMode{
		{"12 bits", &permessage.Deflate{}},
		{"15 bits, all messages", &permessage.Deflate{WindowBits: 15, Threshold: -1}},
		{"no takeover", &permessage.Deflate{Mode: permessage.NoContextTakeover}},
	}
	ourWindows = []ourMode{
		{"8 bits", &permessage.Deflate{WindowBits: 8, Threshold: -1}},
		{"9 bits", &permessage.Deflate{WindowBits: 9}},
		{"10 bits", &permessage.Deflate{WindowBits: 10}},
		{"11 bits", &permessage.Deflate{WindowBits: 11, Level: permessage.LevelFast}},
		{"13 bits", &permessage.Deflate{WindowBits: 13}},
		{"14 bits", &permessage.Deflate{WindowBits: 14, Level: permessage.LevelBest}},
	}
)

// runCompression exchanges compressed messages between p and us, p being the
// client and then the server, in each mode of p. cannot are abilities that p
// lacks. testdata/compression.txt has the agreed parameters.
func runCompression(t *testing.T, p party, modes []mode, cannot ...ability) {
	t.Helper()
	turn := 0
	for i, m := range modes {
		ours := ourModes
		if i == 0 {
			ours = slices.Concat(ourModes, ourWindows)
		}
		if m.once {
			ours = ourModes[1:2]
		}
		for _, our := range ours {
			if our.deflate.WindowBits == 8 && slices.Contains(cannot, to8Bits) {
				continue
			}
			o := options{ours: our.deflate, theirs: m.config, origins: p.pages}
			if p.dial != nil && m.role != asServer {
				server := ourServers[turn%len(ourServers)]
				turn++
				t.Run(fmt.Sprintf("compression/%s as the client, %s/%s, %s", p.name, m.name, server.name, our.name), func(t *testing.T) {
					url, accept := server.listen(t, o)
					theirs := p.dial(t, url, o)
					compresses(t, accept(), theirs, agreement{p.name, asClient, m.name, our.name}, cannot)
				})
			}
			if p.listen != nil && m.role != asClient {
				t.Run(fmt.Sprintf("compression/%s as the server, %s/our client, %s", p.name, m.name, our.name), func(t *testing.T) {
					url, accept := p.listen(t, o)
					ours := dialCounted(t, url, o)
					compresses(t, ours, accept(), agreement{p.name, asServer, m.name, our.name}, cannot)
				})
			}
		}
	}
}

// A compressingEndpoint is ours.
type compressingEndpoint interface {
	endpoint
	compression() string      // the agreed parameters
	encoded() (in, out int64) // bytes on the wire, of payloads at least
}

// compresses exchanges messages in both directions.
func compresses(t *testing.T, ours, theirs endpoint, a agreement, cannot []ability) {
	t.Helper()
	our := ours.(compressingEndpoint)
	a.check(t, our.compression())
	var size int64
	for _, m := range compressible {
		if len(m.payload) > 0 || !slices.Contains(cannot, toGetEmpty) {
			delivers(m)(t, our, theirs)
		}
		delivers(m)(t, theirs, our)
		size += int64(len(m.payload))
	}
	deliversAtOnce(ticks(30))(t, our, theirs)
	deliversAtOnce(ticks(30))(t, theirs, our)
	for _, m := range ticks(30) {
		size += int64(len(m.payload))
	}
	in, out := our.encoded()
	t.Logf("%s: %d bytes received and %d sent for %d each", our.compression(), in, out, size)
	if our.compression() != "" && (in > size/2 || out > size/2) {
		t.Errorf("%d bytes were received and %d sent for %d each, want half of them at most", in, out, size)
	}
	parts := halves(words(7, 40_000)+nonASCII+words(8, 20_000)+words(7, 5000), 5)
	deliversFragments(text, parts)(t, our, theirs)
	if !slices.Contains(cannot, toFragment) {
		deliversFragments(text, parts)(t, theirs, our)
		deliversFragments(binary, parts)(t, theirs, our)
	}
	delivers(compressible[0])(t, our, theirs)
	delivers(compressible[0])(t, theirs, our)
	if !slices.Contains(cannot, toClose) {
		closes(4000, "the end")(t, our, theirs)
	}
}

// deliversAtOnce sends messages while the other end receives them.
func deliversAtOnce(list []event) func(*testing.T, endpoint, endpoint) {
	return func(t *testing.T, from, to endpoint) {
		t.Helper()
		sent := make(chan error, 1)
		go func() {
			for _, m := range list {
				if err := from.send(m); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for _, m := range list {
			expect(t, to, m, func() error { return nil })
		}
		check.Must(t, <-sent)
	}
}

// compressible are messages of all kinds. They resemble each other, fill every
// window and wrap it.
var compressible = slices.Concat(
	ticks(5),
	[]event{
		{kind: text, payload: []byte(object(0))}, {kind: text, payload: []byte(object(1))}, {kind: text, payload: []byte(object(2))},
		{kind: text, payload: []byte{}}, {kind: binary, payload: []byte{}}, {kind: text, payload: []byte("a")},
		{kind: binary, payload: random(20_000)},
		{kind: text, payload: []byte(nonASCII)},
		{kind: text, payload: []byte(words(1, 1<<20))},
		{kind: binary, payload: everyByte(1000)},
		{kind: binary, payload: make([]byte, 300_000)},
	},
	ticks(5),
	[]event{{kind: text, payload: []byte(object(3))}, {kind: text, payload: []byte(strings.Repeat("0", 258*3+1))}},
)

func ticks(n int) (list []event) {
	for i := range n {
		tick := fmt.Sprintf(`{"type":"tick","symbol":"ACME","seq":%d,"bid":%d.25,"ask":%d.75,"venue":"XNYS","name":"世界"}`, i, 100+i*7%31, 101+i*7%31)
		list = append(list, event{kind: text, payload: []byte(strings.Repeat(tick, 1+i%9))})
	}
	return list
}

// object returns JSON of about 1 KiB.
func object(n int) string {
	var list []string
	for i := range 9 {
		list = append(list, fmt.Sprintf(`{"id":%d,"owner":"user%d","title":"%s","done":%v}`, n*100+i, i*n, words(uint64(n*10+i), 60), i%2 == n%2))
	}
	return "[" + strings.Join(list, ",") + "]"
}

// words returns n bytes of text, the same for the same seed.
func words(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%s ", strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(3))+[]string{"ing", "tion", "er", "able", "ous"}[r.IntN(5)])
	}
	return b.String()[:n]
}

func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	p := make([]byte, n)
	r.Read(p)
	return p
}

// An agreement names a connection in testdata/compression.txt.
type agreement struct {
	peer string
	role role // the peer's
	mode string
	ours string
}

const agreementsFile = "testdata/compression.txt"

var (
	updateAgreements = flag.Bool("update-agreements", false, "write the agreed parameters to "+agreementsFile)
	agreements       map[string]string // by agreement
)

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if agreements, err = readAgreements(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if *updateAgreements {
		var b bytes.Buffer
		for _, key := range slices.Sorted(maps.Keys(agreements)) {
			fmt.Fprintf(&b, "%s | %s\n", key, agreements[key])
		}
		if err := os.WriteFile(agreementsFile, b.Bytes(), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func readAgreements() (map[string]string, error) {
	file, err := os.ReadFile(agreementsFile)
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSuffix(line, "\n")
		i := strings.LastIndex(line, " | ")
		if i < 0 {
			return nil, fmt.Errorf("%s: line %q", agreementsFile, line)
		}
		all[line[:i]] = line[i+len(" | "):]
	}
	return all, nil
}

// check compares the parameters of a connection with those in the file.
func (a agreement) check(t *testing.T, params string) {
	t.Helper()
	key := fmt.Sprintf("%s as the %s, %s | %s", a.peer, a.role, a.mode, a.ours)
	if params == "" {
		params = "none"
	}
	if *updateAgreements {
		agreements[key] = params
	}
	check.Equal(t, params, agreements[key], "agreed parameters of %s", key)
}

// dialCounted connects our client and counts bytes.
func dialCounted(t *testing.T, url string, o options) endpoint {
	t.Helper()
	c := new(countedConn)
	e := ourClient(func(ctx context.Context, network, addr string) (net.Conn, error) {
		var err error
		c.Conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return c, err
	}).dial(t, url, o)
	return countedEndpoint{e.(clientEndpoint), c}
}

type countedEndpoint struct {
	clientEndpoint
	count *countedConn
}

func (e countedEndpoint) encoded() (in, out int64) { return e.count.in.Load(), e.count.out.Load() }

// countedConn counts the bytes that it transfers.
type countedConn struct {
	net.Conn
	in, out atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}
