package differential

import (
	"os"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/fuzz/corpus"
)

// Every implementation has the same outcome for the bytes of a client, or the
// difference is known (6455-10.7-a).
func FuzzDecode(f *testing.F) {
	for _, stream := range seeds(f) {
		f.Add(stream)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, peer := range Peers {
			if _, ours, theirs, known := Explain(peer, stream); !known {
				t.Errorf("a difference that is not explained, for % x\nfibersock %v\n%s %v", stream, ours, peer.Name, theirs)
			}
		}
	})
}

// seeds are the inputs of servers in the golden corpus, and former findings.
func seeds(tb testing.TB) [][]byte {
	list, err := corpus.Seeds(corpus.Server, 8<<10)
	if err != nil {
		tb.Fatal(err)
	}
	const cutShort = "\x02\x81\x00\x00\x00\x00x" + "\x88\x86\x00\x00\x00\x00" // a fragment, and a Close without its payload
	return append(list, []byte(cutShort))
}

// A difference without a seed must be removed from the list.
func TestEveryDifferenceIsSeen(t *testing.T) {
	seen := make(map[string]bool)
	for _, stream := range seeds(t) {
		for _, peer := range Peers {
			name, _, _, _ := Explain(peer, stream)
			seen[name] = true
		}
	}
	for _, d := range Differences {
		if !seen[d.Name] {
			t.Errorf("%q is seen in no seed", d.Name)
		}
	}
}

// net/http, which is often a proxy in front of fibersock, parses an accepted
// request to the same parts: nothing is smuggled (6455-10.7-a, T-H11).
func FuzzHead(f *testing.F) {
	const fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, s := range []string{
		"GET /chat HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n\x81\x80",
		"GET http://[::1]:81/a?b HTTP/1.1\r\nhost: x\r\n" + fields + "Content-Length: 0\r\nX: \t y \r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /% HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" + fields + "Content-Length: 5\r\n\r\nHello",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := CompareHead(data); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}

// README.md has the same differences as the list.
func TestReadmeListsTheDifferences(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Differences {
		whose := d.Peer
		if whose == "" {
			whose = "both"
		}
		if row := "| " + d.Name + " | " + whose + " |"; strings.Count(string(readme), row) != 1 {
			t.Errorf("README.md has no row %q", row)
		}
	}
	if rows := strings.Count(string(readme), "\n| "); rows != len(Differences)+1 {
		t.Errorf("README.md has %d rows, want a head and %d", rows, len(Differences))
	}
}
