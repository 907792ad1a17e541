//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"bytes"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"testing"
)

// record returns a TLS record with size bytes behind its header.
func record(kind byte, size int) []byte {
	b := append([]byte{kind, 3, 3, byte(size >> 8), byte(size)}, make([]byte, size)...)
	rand.Read(b[recordHeader:])
	return b
}

// A Read ends at the end of a record, or in the record that it begins in: no
// part of a record is behind a whole one. All bytes are read.
func TestReadsEndWithRecords(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	var stream []byte
	var ends []int // of the records
	for range 300 {
		size := []int{0, 1, 4, 5, 6, 100, 571, 5000, 16406}[random.IntN(9)]
		stream = append(stream, record(23, size)...)
		ends = append(ends, len(stream))
	}
	stream = append(stream, record(23, 700)[:600]...) // the end is inside of a record
	for _, most := range []int{1, 4, 7, 600, 40_000} {
		var pos recordPos
		var in []byte
		at, arrived := 0, 0
		for at < len(stream) {
			if len(in) == 0 {
				n := min(1+random.IntN(most), len(stream)-arrived)
				in = stream[arrived:][:n]
				arrived += n
			}
			p := make([]byte, 1+random.IntN(most))
			n := pos.read(p, in)
			if n == 0 || !bytes.Equal(p[:n], stream[at:at+n]) {
				t.Fatalf("at %d: %d bytes that are not those of the stream", at, n)
			}
			next, _ := slices.BinarySearch(ends, at+1) // the record that the Read begins in
			end := at + n
			if _, whole := slices.BinarySearch(ends, end); !whole && next < len(ends) && end > ends[next] {
				t.Fatalf("a Read of %d bytes at %d ends in another record", n, at)
			}
			if room := min(len(p), len(in)); next < len(ends) && ends[next] <= at+room && end < ends[next] {
				t.Fatalf("a Read of %d bytes at %d ends before the end of its record", n, at)
			}
			in, at = in[n:], end
		}
	}
}

// A long first record of a handshake is read as records of at most maxFragment
// bytes, whatever the pieces in which it arrives. Other input is not changed.
func TestLongClientHelloIsSplit(t *testing.T) {
	behind := append(record(recordHandshake, 600), record(23, 5000)...)
	for _, tt := range []struct {
		name  string
		first []byte
		split int // number of records
	}{
		{"long", record(recordHandshake, 1517), 4},
		{"as long as two fragments", record(recordHandshake, 2*maxFragment), 2},
		{"the longest", record(recordHandshake, 16<<10-1), 32},
		{"one byte too long", record(recordHandshake, maxFragment+1), 2},
		{"short", record(recordHandshake, maxFragment), 0},
		{"empty", record(recordHandshake, 0), 0},
		{"not of a handshake", record(21, 1517), 0},
		{"incomplete header", []byte{recordHandshake, 3, 1}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			input := append(slices.Clone(tt.first), behind...)
			if len(tt.first) < recordHeader {
				input = tt.first
			}
			for _, piece := range []int{1, 3, 500, len(input)} {
				h := newTLSHandshake()
				left := input
				more := func() { // the loop passes on input when the goroutine waits
					n := min(piece, len(left))
					if n == 0 {
						h.close()
						return
					}
					rest, over := h.received(left[:n])
					if over {
						t.Fatal("the handshake is over")
					}
					left = left[n-len(rest):]
				}
				var got []byte
				records := 0
				for {
					p := make([]byte, recordHeader+maxFragment)
					n, err := h.read(p, new(recordPos), more)
					if err != nil {
						if err != net.ErrClosed {
							t.Error(err)
						}
						break
					}
					p = p[:n]
					if tt.split > 0 && len(got) < len(tt.first)-recordHeader {
						if size := int(p[3])<<8 | int(p[4]); !bytes.Equal(p[:3], tt.first[:3]) || size != n-recordHeader {
							t.Fatalf("a record begins with %v, in a read of %d bytes", p[:5], n)
						}
						p = p[recordHeader:]
						records++
					}
					got = append(got, p...)
				}
				want := input
				if tt.split > 0 {
					want = input[recordHeader:]
				}
				if records != tt.split || !bytes.Equal(got, want) {
					t.Errorf("in pieces of %d: %d records, want %d; intact: %v", piece, records, tt.split, bytes.Equal(got, want))
				}
			}
		})
	}
}

// A ClientHello that ends early ends the input, behind the bytes that have
// arrived.
func TestIncompleteClientHello(t *testing.T) {
	h := newTLSHandshake()
	h.received(append([]byte{recordHandshake, 3, 1, 4, 0}, make([]byte, maxFragment+1)...))
	h.close()
	for _, want := range []int{recordHeader + maxFragment, recordHeader + 1} {
		if n, err := h.read(make([]byte, 600), new(recordPos), nil); n != want || err != nil {
			t.Errorf("%d bytes and %v, want %d", n, err, want)
		}
	}
	if n, err := h.read(make([]byte, 600), new(recordPos), nil); n != 0 || err != net.ErrClosed {
		t.Errorf("%d bytes and %v at the end", n, err)
	}
}
