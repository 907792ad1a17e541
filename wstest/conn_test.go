package wstest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/wstest"
)

// write writes s, all of it.
func write(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	if n, err := io.WriteString(nc, s); n != len(s) || err != nil {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(s), err)
	}
}

// read reads once and compares with want.
func read(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	buf := make([]byte, 1000)
	n, err := nc.Read(buf)
	if string(buf[:n]) != want || err != nil {
		t.Fatalf("read %q and %v, want %q", buf[:n], err, want)
	}
}

// readFails reads once and wants an error.
func readFails(t *testing.T, nc net.Conn, want error) {
	t.Helper()
	if n, err := nc.Read(make([]byte, 1000)); n != 0 || !errors.Is(err, want) {
		t.Fatalf("read %d bytes and %v, want %v", n, err, want)
	}
}

// writeFails writes until that fails.
func writeFails(t *testing.T, nc net.Conn, want error) {
	t.Helper()
	if _, err := io.WriteString(nc, "x"); !errors.Is(err, want) {
		t.Fatalf("wrote with %v, want %v", err, want)
	}
}

func TestPipeCarriesBytesBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wstest.Pipe(wstest.Plan{})
		write(t, client, "a")
		write(t, client, "b")
		write(t, server, "c")
		read(t, server, "ab")
		read(t, client, "c")
		if client.LocalAddr().String() != server.RemoteAddr().String() || client.RemoteAddr().String() != server.LocalAddr().String() {
			t.Error("the ends do not agree on their addresses")
		}
		sent, want := new(bytes.Buffer), strings.Repeat("0123456789", 100_000)
		go func() {
			io.WriteString(client, want)
			client.CloseWrite()
		}()
		if _, err := io.Copy(sent, server); err != nil || sent.String() != want {
			t.Errorf("%d bytes came, and %v", sent.Len(), err)
		}
	})
}

// A writer waits when the buffer is full, until the reader makes room or its
// deadline comes, and then knows how much it wrote.
func TestFullBufferMakesAWriterWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Buffer: 3}})
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := io.WriteString(client, "abcde"); n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes: %v", n, err)
		}
		client.SetWriteDeadline(time.Time{})
		go io.WriteString(client, "de")
		synctest.Wait()
		read(t, server, "abc")
		synctest.Wait()
		read(t, server, "de")
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Buffer: 1}})
		var timeout net.Error
		for range 2 {
			start := time.Now()
			client.SetReadDeadline(start.Add(time.Minute))
			_, err := client.Read(make([]byte, 1))
			if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("reading ended after %v with %v", time.Since(start), err)
			}
		}
		readFails(t, client, os.ErrDeadlineExceeded)
		client.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Hour, func() { client.SetReadDeadline(time.Unix(1, 0)) })
		readFails(t, client, os.ErrDeadlineExceeded) // one that is set while it waits
		client.SetDeadline(time.Now().Add(-1))
		writeFails(t, client, os.ErrDeadlineExceeded)
		client.SetDeadline(time.Time{})
		write(t, client, "a")
		read(t, server, "a")
	})
}

func TestEndOfAPipe(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, a, b *wstest.Conn)
	}{
		{"half-close", func(t *testing.T, a, b *wstest.Conn) {
			write(t, a, "last")
			a.CloseWrite()
			writeFails(t, a, io.ErrClosedPipe)
			read(t, b, "last")
			readFails(t, b, io.EOF)
			write(t, b, "answer")
			read(t, a, "answer")
		}},
		{"close", func(t *testing.T, a, b *wstest.Conn) {
			write(t, a, "last")
			a.Close()
			for _, err := range []error{a.Close(), a.CloseWrite(), a.SetDeadline(time.Time{})} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("on what is closed: %v", err)
				}
			}
			writeFails(t, a, net.ErrClosed)
			readFails(t, a, net.ErrClosed)
			read(t, b, "last")
			readFails(t, b, io.EOF)
			writeFails(t, b, wstest.ErrReset)
		}},
		{"close with unread input", func(t *testing.T, a, b *wstest.Conn) {
			write(t, b, "unread")
			write(t, a, "last")
			a.Close()
			read(t, b, "last")
			readFails(t, b, wstest.ErrReset)
			writeFails(t, b, wstest.ErrReset)
		}},
		{"close while the other waits", func(t *testing.T, a, b *wstest.Conn) {
			time.AfterFunc(time.Second, func() { a.Close() })
			readFails(t, b, io.EOF)
		}},
		{"close while it waits itself", func(t *testing.T, a, b *wstest.Conn) {
			time.AfterFunc(time.Second, func() { a.Close() })
			readFails(t, a, net.ErrClosed)
		}},
		{"reset", func(t *testing.T, a, b *wstest.Conn) {
			write(t, a, "last")
			a.Reset()
			read(t, b, "last")
			readFails(t, b, wstest.ErrReset)
			readFails(t, a, net.ErrClosed)
		}},
		{"close after SetLinger(0)", func(t *testing.T, a, b *wstest.Conn) {
			a.SetLinger(0)
			write(t, a, "last")
			a.Close()
			read(t, b, "last")
			readFails(t, b, wstest.ErrReset)
		}},
		{"close after SetLinger(1)", func(t *testing.T, a, b *wstest.Conn) {
			a.SetLinger(0)
			a.SetLinger(1)
			a.Close()
			readFails(t, b, io.EOF)
		}},
		{"reset of the link", func(t *testing.T, a, b *wstest.Conn) {
			write(t, a, "stalled")
			a.Link().ToServer.Stall()
			a.Link().Reset()
			for _, nc := range []net.Conn{a, b} {
				readFails(t, nc, wstest.ErrReset)
				writeFails(t, nc, wstest.ErrReset)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := wstest.Pipe(wstest.Plan{})
				tt.do(t, a, b)
			})
		})
	}
}

// Nobody else is woken too late or twice: many readers and writers at once.
func TestPipeIsSafeForUseAtOnce(t *testing.T) {
	client, server := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Buffer: 10, Split: wstest.RandomSizes(3)}})
	const writers, each = 4, 1000
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range each {
				io.WriteString(client, "ab")
				client.SetDeadline(time.Now().Add(time.Hour))
			}
		})
	}
	go func() {
		writing.Wait()
		client.CloseWrite()
	}()
	n, err := io.Copy(io.Discard, server)
	if n != writers*each*2 || err != nil {
		t.Errorf("%d bytes came, and %v", n, err)
	}
}
