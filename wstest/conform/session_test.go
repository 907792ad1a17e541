package conform

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

// A chunkConn is an end of a connection that records the length of each Read.
type chunkConn struct {
	net.Conn
	sizes []int
}

func (c *chunkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.sizes = append(c.sizes, n)
	}
	return n, err
}

// Octets that are sent one by one came as one read: only other goroutines of the judge ran in
// between. So peers got 3.4, 4.1.5 and 4.2.5 now one way, now the other.
func TestOctetsSentOneByOneAreReadOneByOne(t *testing.T) {
	for _, c := range []struct {
		id   string
		most int // octets in a read, of the first frames
	}{{"3.4", 1}, {"4.1.5", 1}, {"4.2.5", 1}, {"2.6", 1}, {"5.5", 1}, {"1.1.8", 997}} {
		synctest.Test(t, func(t *testing.T) {
			client, server := wstest.Pipe(roomy)
			peer := &chunkConn{Conn: server}
			go func() {
				// A frame that ends the case is not needed: the judge has sent all when it closes.
				buf := make([]byte, 64<<10)
				for {
					if _, err := peer.Read(buf); err != nil {
						peer.Close()
						return
					}
				}
			}()
			newSession(client, Client, casesOf(t, c.id, "")[0], Options{}).run(nil)
			sizes := peer.sizes[:len(peer.sizes)-1] // the last is the judge's Close
			if len(sizes) < 2 || slices.Max(sizes) > c.most {
				t.Errorf("%s: reads of %d octets, want at most %d", c.id, slices.Max(sizes), c.most)
			}
		})
	}
}

// A stuckConn blocks writes until it is released.
type stuckConn struct {
	net.Conn
	released chan struct{}
}

func (c *stuckConn) Write(p []byte) (int, error) {
	<-c.released
	return c.Conn.Write(p)
}

// The answers to a flood of Pings filled the judge's memory if the peer did not read them: 4.4 GB in
// 20 s. Now the last Ping is answered, and the others while there is room.
func TestPongsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judge, peer := wstest.Pipe(roomy)
		stuck := &stuckConn{judge, make(chan struct{})}
		s := newSession(stuck, Client, &Case{Close: normally}, Options{})
		var running sync.WaitGroup
		running.Go(func() { s.run(nil) })
		const pings = 100_000
		payload := bytes.Repeat([]byte{'p'}, 125)
		flood := []byte{0x89, 125}
		flood = append(flood, payload...)
		for range pings - 1 {
			peer.Write(flood)
		}
		peer.Write([]byte{0x89, 4, 'l', 'a', 's', 't'})
		synctest.Wait()
		if n := s.out.queued(); n > maxUnread+200 {
			t.Errorf("%d octets wait for a peer that does not read", n)
		}
		close(stuck.released)
		synctest.Wait()
		got := make([]byte, 1<<20)
		n, err := peer.Read(got)
		check.Must(t, err)
		var r frameReader
		var pongs [][]byte
		for rest := got[:n]; len(rest) > 0; {
			var whole bool
			if rest, whole, err = r.read(rest); err != nil || !whole {
				t.Fatal(whole, err)
			}
			pongs = append(pongs, bytes.Clone(r.payload))
		}
		if len(pongs) < 100 || string(pongs[len(pongs)-1]) != "last" {
			t.Errorf("%d Pongs, the last is %q", len(pongs), pongs[len(pongs)-1])
		}
		peer.Close()
		running.Wait()
	})
}

// A flood of Pongs or messages is not kept either.
func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judge, peer := wstest.Pipe(roomy)
		s := newSession(judge, Client, &Case{Close: normally}, Options{})
		go func() {
			message := append([]byte{0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0}, make([]byte, 1<<20)...)
			for range 20 {
				peer.Write(message)
			}
			for range 5000 {
				peer.Write([]byte{0x8a, 0})
			}
			peer.Close()
		}()
		s.run(nil)
		if len(s.received) != maxEvents || s.kept > maxEvent+2<<20 {
			t.Errorf("%d events with %d octets are kept", len(s.received), s.kept)
		}
		if e := s.received[19]; e.Size != 1<<20 || len(e.Payload) > maxKept {
			t.Errorf("of the last message %d of %d octets are kept", len(e.Payload), e.Size)
		}
	})
}

// The header of a frame is judged when its first two octets are there, however long the frame is
// said to be: the peer is told, and not waited for.
func TestBrokenHeaderIsNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judge, peer := wstest.Pipe(roomy)
		s := newSession(judge, Client, &Case{Close: normally}, Options{})
		var running sync.WaitGroup
		running.Go(func() { s.run(nil) })
		began := time.Now()
		peer.Write([]byte{0xff})
		synctest.Wait()
		if s.broken != "" {
			t.Errorf("after one octet: %s", s.broken)
		}
		peer.Write([]byte{0xff, 0xff, 0xff, 0xff})
		got := make([]byte, 100)
		if n, err := peer.Read(got); err != nil || n < 2 || got[0] != 0x88 || time.Since(began) > 0 {
			t.Errorf("% x, %v after %v", got[:n], err, time.Since(began))
		}
		peer.Close()
		running.Wait()
		if !strings.Contains(s.broken, "5.1") { // a server masks, that is the first
			t.Errorf("the reason is %q", s.broken)
		}
		if n := strings.Count(logText(s), "the peer broke a rule"); n != 1 {
			t.Errorf("the log says %d times that a rule was broken", n)
		}
	})
}

func logText(s *session) string {
	var b strings.Builder
	for _, e := range s.log.entries() {
		b.WriteString(e.Text + "\n")
	}
	return b.String()
}

// The reasons name the side that acted, and the first reason stands.
func TestReasons(t *testing.T) {
	reservedBack := testeeFaults{
		lenient: func(broken testeeRule, _ *testeeFrame) bool { return broken == testeeRuleOpcode },
		frame: func(s *testeeSession, f *testeeFrame) bool {
			if f.opcode > testeeBinary && f.opcode < testeeClose {
				s.send(&testeeFrame{fin: true, opcode: f.opcode, payload: f.payload})
				return false
			}
			return true
		},
	}
	eachFragment := testeeFaults{frame: func(s *testeeSession, f *testeeFrame) bool {
		if f.control() {
			return true
		}
		s.sendMessage(s.opcode, f.payload)
		if f.fin {
			s.opcode = 0
		}
		return false
	}}
	for _, c := range []struct {
		name       string
		faults     testeeFaults
		id         string
		why, close string // parts of the reasons
		not        string // no part of either
	}{
		{"bad text comes back", checksText(func() noText { return noText{} }), "6.12.1",
			"the peer broke a rule: a text message is not UTF-8 (RFC 6455, 8.1)", "the judge did, with 1007, for the rule that the peer broke", "events are right"},
		{"bad text is dropped", testeeFaults{
			text: func() testeeText { return noText{} },
			echo: func(*testeeSession, byte, []byte) error { return nil },
		}, "6.12.1", "the events are right, but the peer did not fail the connection", "the judge closed it, with 1001", "rule"},
		{"the judge's own code comes back", eachFragment, "6.2.2", "came, not text", "", "1007"},
		{"the judge's own 1007 comes back", eachFragment, "6.2.3", "a text message is not UTF-8", "", "the peer closed with 1007"},
		{"the judge's Close comes back", testeeFaults{echo: func(*testeeSession, byte, []byte) error { return nil }}, "1.1.1",
			"nothing came", "the peer answered the judge's Close (1001) with 1001, not with 1000", "the peer closed with"},
		{"reserved opcodes come back", reservedBack, "4.1.3",
			"a frame has the reserved opcode 5 (RFC 6455, 5.2)", "the peer did not fail the connection", ""},
		{"fragments come back", eachFragment, "9.3.1",
			"message 1 came back with 64 bytes, not 4194304", "", "had come back"},
		{"an illegal Close", testeeFaults{failing: failsWith(1006)}, "3.1",
			"came as expected", "its Close with 1006 is illegal, and the judge answered it with 1002", "the judge closed it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, role := range bothRoles {
				r := judgeTestee(t, &testee{c.faults}, role, casesOf(t, c.id, ""), Options{})[0]
				both := r.Why + " | " + r.WhyClose
				if !strings.Contains(r.Why, c.why) || !strings.Contains(r.WhyClose, c.close) || c.not != "" && strings.Contains(both, c.not) {
					t.Errorf("as a %s: %s", role, both)
				}
			}
		})
	}
}
