package sockbuf_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/sockbuf"
)

// A peer that does not read is sent no more than Most, in both directions.
func TestBuffersAreSmall(t *testing.T) {
	ln, err := sockbuf.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := sockbuf.Dial(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for _, nc := range []interface {
		Write([]byte) (int, error)
		SetWriteDeadline(time.Time) error
	}{dialed, accepted} {
		nc.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := nc.Write(make([]byte, 4*sockbuf.Most))
		if n > sockbuf.Most || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the kernel took %d bytes and returned %v", n, err)
		}
	}
}
