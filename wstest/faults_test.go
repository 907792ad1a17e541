package wstest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/wstest"
)

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Latency: time.Second}})
		start := time.Now()
		write(t, client, "a")
		time.Sleep(400 * time.Millisecond)
		write(t, client, "b")
		client.CloseWrite()
		read(t, server, "a")
		if took := time.Since(start); took != time.Second {
			t.Errorf("arrived after %v", took)
		}
		read(t, server, "b")
		readFails(t, server, io.EOF)
		if took := time.Since(start); took != 1400*time.Millisecond {
			t.Errorf("ended after %v", took)
		}
		write(t, server, "c") // the other way is not slow
		read(t, client, "c")
	})
}

// With jitter, connections overtake each other, the same ones for the same seeds,
// and each stays in order.
func TestJitterReordersAcrossConnections(t *testing.T) {
	const conns = 8
	order := func(t *testing.T, seed uint64) (arrived []int) {
		synctest.Test(t, func(t *testing.T) {
			came := make(chan int)
			for i := range conns {
				client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Jitter: time.Second}, Seed: seed + uint64(i)})
				write(t, client, "first ")
				write(t, client, "second")
				client.CloseWrite()
				go func() {
					text, _ := io.ReadAll(server)
					if string(text) != "first second" {
						t.Errorf("got %q", text)
					}
					came <- i
				}()
			}
			for range conns {
				arrived = append(arrived, <-came)
			}
		})
		return arrived
	}
	first := order(t, 1)
	if slices.IsSorted(first) {
		t.Errorf("nobody was overtaken: %v", first)
	}
	if again := order(t, 1); !slices.Equal(first, again) {
		t.Errorf("the same seed made %v and %v", first, again)
	}
	if other := order(t, 1000); slices.Equal(first, other) {
		t.Errorf("another seed made %v too", other)
	}
}

// pieces reads until the end, and returns the bytes of each read.
func pieces(t *testing.T, nc net.Conn) (got []string) {
	t.Helper()
	buf := make([]byte, 1000)
	for {
		n, err := nc.Read(buf)
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(buf[:n]))
	}
}

func TestSplit(t *testing.T) {
	long := strings.Repeat("c", 256)
	records := "\x16\x03\x01\x00\x02ab" + "\x17\x03\x03\x00\x00" + "\x17\x03\x03\x01\x00" + long
	tests := []struct {
		name   string
		split  wstest.Split
		writes []string
		want   []string
	}{
		{"none", wstest.Split{}, []string{"ab", "cd"}, []string{"abcd"}},
		{"no sizes", wstest.Sizes(), []string{"ab", "cd"}, []string{"abcd"}},
		{"ones", wstest.Sizes(1), []string{"ab", "cd"}, []string{"a", "b", "c", "d"}},
		{"sizes in turn", wstest.Sizes(1, 2), []string{"abcdef"}, []string{"a", "bc", "d", "ef"}},
		{"a write ends a piece", wstest.Sizes(3), []string{"abcd", "efgh"}, []string{"abc", "d", "efg", "h"}},
		{"a size that is none", wstest.Sizes(0), []string{"ab"}, []string{"a", "b"}},
		{"records", wstest.TLSRecords(), []string{records}, []string{"\x16\x03\x01\x00\x02ab", "\x17\x03\x03\x00\x00", "\x17\x03\x03\x01\x00" + long}},
		{"in records", wstest.TLSRecords(4, 5, 6), []string{records},
			[]string{"\x16\x03\x01\x00", "\x02", "a", "b", "\x17\x03\x03\x00", "\x00", "\x17\x03\x03\x01", "\x00", "c", long[1:]}},
		{"records in pieces", wstest.TLSRecords(), []string{records[:4], records[4:9], records[9:]},
			[]string{"\x16\x03\x01\x00", "\x02ab", "\x17\x03", "\x03\x00\x00", "\x17\x03\x03\x01\x00" + long}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Split: tt.split}})
			for _, w := range tt.writes {
				write(t, client, w)
			}
			client.CloseWrite()
			if got := pieces(t, server); !slices.Equal(got, tt.want) {
				t.Errorf("arrived in the pieces\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

// The same seed cuts the same pieces, of every size there may be.
func TestRandomSizes(t *testing.T) {
	cut := func(seed uint64) []string {
		client, server := wstest.Pipe(wstest.Plan{ToClient: wstest.Faults{Split: wstest.RandomSizes(4)}, Seed: seed})
		write(t, server, strings.Repeat("a", 1000))
		server.CloseWrite()
		return pieces(t, client)
	}
	first := cut(1)
	sizes := map[int]bool{}
	for _, p := range first[:len(first)-1] {
		sizes[len(p)] = true
	}
	if len(sizes) != 4 || sizes[0] || sizes[5] {
		t.Errorf("pieces of the sizes %v", sizes)
	}
	if !slices.Equal(first, cut(1)) || slices.Equal(first, cut(2)) {
		t.Error("the seed does not decide")
	}
}

func TestCuts(t *testing.T) {
	const text = "0123456789"
	for at := range int64(len(text) + 1) {
		for _, split := range []wstest.Split{{}, wstest.Sizes(3)} {
			t.Run(fmt.Sprint(wstest.ResetAt(at)), func(t *testing.T) {
				client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Cut: wstest.ResetAt(at), Split: split}})
				n, err := io.WriteString(client, text)
				if at < int64(len(text)) && (int64(n) != at || !errors.Is(err, wstest.ErrReset)) {
					t.Errorf("wrote %d bytes: %v", n, err)
				}
				if got, err := io.ReadAll(server); string(got) != text[:at] || !errors.Is(err, wstest.ErrReset) {
					t.Errorf("read %q: %v", got, err)
				}
				writeFails(t, server, wstest.ErrReset)
				writeFails(t, client, wstest.ErrReset)
				readFails(t, client, wstest.ErrReset)
			})
			t.Run(fmt.Sprint(wstest.EndAt(at)), func(t *testing.T) {
				client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Cut: wstest.EndAt(at), Split: split, Buffer: 20}})
				write(t, client, text)
				write(t, client, strings.Repeat(text, 10)) // lost, and no reason to wait
				if got, err := io.ReadAll(server); string(got) != text[:at] || err != nil {
					t.Errorf("read %q: %v", got, err)
				}
				write(t, server, "the other way")
				read(t, client, "the other way")
				if got := client.Link().ToServer.Written(); got != 110 {
					t.Errorf("%d bytes are said to be written", got)
				}
			})
			t.Run(fmt.Sprint(wstest.StallAt(at)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Cut: wstest.StallAt(at), Split: split}})
					write(t, client, text)
					client.CloseWrite()
					time.AfterFunc(time.Hour, func() {
						if got := client.Link().ToServer.Read(); got != at {
							t.Errorf("%d bytes have arrived", got)
						}
						client.Link().ToServer.Release()
					})
					start := time.Now()
					if got, err := io.ReadAll(server); string(got) != text || err != nil || time.Since(start) != time.Hour {
						t.Errorf("read %q: %v, after %v", got, err, time.Since(start))
					}
				})
			})
		}
	}
	if s := (wstest.Cut{}).String(); s != "no cut" {
		t.Error(s)
	}
}

// A link is stalled and released at any time.
func TestStallAndRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wstest.Pipe(wstest.Plan{})
		link := client.Link()
		write(t, client, "abc")
		buf := make([]byte, 1)
		server.Read(buf)
		link.ToServer.Stall()
		server.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := server.Read(buf); err == nil {
			t.Error("what has arrived is not held back")
		}
		server.SetReadDeadline(time.Time{})
		link.ToServer.Release()
		read(t, server, "bc")
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := wstest.Listen(func(n int) wstest.Plan {
			return wstest.Plan{ToServer: wstest.Faults{Latency: time.Duration(n) * time.Second}}
		})
		links := make(chan *wstest.Link, 2)
		go func() { links <- ln.Link(1) }()
		first, second := dial(t, ln), dial(t, ln)
		write(t, first, "first")
		write(t, second, "second")
		start := time.Now()
		read(t, accept(t, ln), "first")
		read(t, accept(t, ln), "second")
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		if first.LocalAddr().String() == second.LocalAddr().String() {
			t.Error("both clients have the same address")
		}
		if got := <-links; got != second.(*wstest.Conn).Link() {
			t.Error("Link(1) is not that of the second connection")
		}
		if first.RemoteAddr() != ln.Addr() {
			t.Error("the listener has another address than the server")
		}

		fault := errors.New("no descriptors")
		go func() {
			synctest.Wait()
			ln.FailAccept(fault, fault)
		}()
		for range 2 {
			if _, err := ln.Accept(); err != fault {
				t.Errorf("Accept returned %v", err)
			}
		}
		waiting := dial(t, ln)
		go func() {
			if ln.Link(10) != nil {
				t.Error("there is a link that nobody dialed")
			}
		}()
		synctest.Wait()
		ln.Close()
		readFails(t, waiting, wstest.ErrReset)
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v", err)
		}
		if nc, err := ln.DialContext(t.Context(), "tcp", "a"); nc != nil || !errors.Is(err, wstest.ErrReset) {
			t.Errorf("dialed %v, %v", nc, err)
		}
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
	})
}

func dial(t *testing.T, ln *wstest.Listener) net.Conn {
	t.Helper()
	nc, err := ln.DialContext(t.Context(), "tcp", "any.example:80")
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func accept(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return nc
}
