package fuzz

import (
	"bytes"

	"github.com/fibersock/fibersock/wire"
)

// Frames reads data as a sequence of frames, after two bytes with a place to
// cut. wire.DecodeFrame must return the same frames from the whole and from the
// pieces, and change no byte outside of a frame; wire.AppendFrame must
// reproduce every frame.
func Frames(data []byte) int {
	p := &program{data}
	cut, stream := p.uint16(), p.all()
	cut = min(cut, len(stream))
	whole, pieces := bytes.Clone(stream), bytes.Clone(stream)
	have := cut // of pieces
	seen := 0
	for {
		f, n, err := wire.DecodeFrame(whole[seen:])
		f2, n2, err2 := wire.DecodeFrame(pieces[seen:have])
		if n2 == 0 && err2 == nil && have < len(pieces) {
			if !bytes.Equal(pieces[seen:have], stream[seen:have]) {
				violated("bytes that are not a whole frame stay as they are", "% x became % x", stream[seen:have], pieces[seen:have])
			}
			have = len(pieces)
			f2, n2, err2 = wire.DecodeFrame(pieces[seen:have])
		}
		if f.Header != f2.Header || !bytes.Equal(f.Payload, f2.Payload) || n != n2 || err != err2 {
			violated("frames do not depend on how they come", "at %d of % x, cut at %d:\nwhole  %+v, n %d, %v\npieces %+v, n %d, %v",
				seen, stream, cut, f, n, err, f2, n2, err2)
		}
		if !bytes.Equal(whole[seen+n:], stream[seen+n:]) {
			violated("nothing beyond a frame is changed", "% x became % x", stream[seen+n:], whole[seen+n:])
		}
		if n == 0 {
			return worth(seen > 0)
		}
		if int64(len(f.Payload)) != f.Length || cap(f.Payload) != len(f.Payload) {
			violated("the payload is the frame's and no more", "%+v: %d bytes, room for %d", f.Header, len(f.Payload), cap(f.Payload))
		}
		kept := bytes.Clone(f.Payload)
		if again := wire.AppendFrame(nil, f.Header, f.Payload); !bytes.Equal(again, stream[seen:seen+n]) {
			violated("a frame is written as it was read", "% x became % x", stream[seen:seen+n], again)
		}
		if !bytes.Equal(f.Payload, kept) {
			violated("writing a frame leaves the caller's payload alone", "% x became % x", kept, f.Payload)
		}
		seen += n
	}
}
