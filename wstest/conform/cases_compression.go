package conform

import (
	"fmt"
	"strings"
	"time"
)

// compressionSizes are the variants in 12.* and 13.*: the size of a message,
// the size of the fragments of its compressed payload (0: one frame), and the
// time limit of all messages.
var compressionSizes = []struct {
	length, fragment int
	limit            time.Duration
}{
	{16, 0, 60 * time.Second},
	{64, 0, 60 * time.Second},
	{256, 0, 120 * time.Second},
	{1024, 0, 240 * time.Second},
	{4096, 0, 480 * time.Second},
	{8192, 0, 480 * time.Second},
	{16384, 0, 480 * time.Second},
	{32768, 0, 480 * time.Second},
	{65536, 0, 480 * time.Second},
	{131072, 0, 480 * time.Second},
	{8192, 256, 480 * time.Second},
	{16384, 256, 480 * time.Second},
	{32768, 256, 480 * time.Second},
	{65536, 256, 480 * time.Second},
	{131072, 256, 480 * time.Second},
	{131072, 1024, 480 * time.Second},
	{131072, 4096, 480 * time.Second},
	{131072, 32768, 480 * time.Second},
}

// compressionCases are 12.* and 13.*: permessage-deflate (RFC 7692), with
// different data and with different parameters.
func compressionCases() []*Case {
	plain := demand{}
	noTakeover := demand{noContextTakeover: true}
	bits9, bits15 := demand{windowBits: 9}, demand{windowBits: 15}
	both9, both15 := demand{true, 9}, demand{true, 15}
	var cases []*Case
	for _, group := range []struct {
		id      string
		data    *dataset
		demands []demand
	}{
		{"12.1", jsonData, []demand{plain}},
		{"12.2", bitmapData, []demand{plain}},
		{"12.3", novelData, []demand{plain}},
		{"12.4", htmlData, []demand{plain}},
		{"12.5", documentData, []demand{plain}},
		{"13.1", jsonData, []demand{plain}},
		{"13.2", jsonData, []demand{noTakeover}},
		{"13.3", jsonData, []demand{bits9}},
		{"13.4", jsonData, []demand{bits15}},
		{"13.5", jsonData, []demand{both9}},
		{"13.6", jsonData, []demand{both15}},
		{"13.7", jsonData, []demand{both9, noTakeover, plain}},
	} {
		for i, size := range compressionSizes {
			description := fmt.Sprintf("%d messages of %s, compressed", echoRounds, units(group.data, size.length))
			if size.fragment > 0 {
				description += fmt.Sprintf(" and in fragments of %d bytes", size.fragment)
			}
			cases = append(cases, &Case{
				ID:          fmt.Sprintf("%s.%d", group.id, i+1),
				Description: fmt.Sprintf("%s, each when the one before has come back. %s.", description, describe(group.demands)),
				Expectation: fmt.Sprintf("All messages come back within %v, compressed or not. The closing handshake is clean.", size.limit),
				Close:       normally, closesLater: true,
				compression: &compression{demands: group.demands},
				play: func(s *session) {
					data := group.data
					opcode := opBinary
					if data.text {
						opcode = opText
					}
					s.expectCompressed(size.limit, opcode, size.fragment, data.messages(size.length))
				},
			})
		}
	}
	return cases
}

func (s *session) expectCompressed(limit time.Duration, opcode, fragment int, next func() []byte) {
	if s.deflate == nil {
		s.judge(Unimplemented, "permessage-deflate was not agreed on")
		s.sendClose(closePayload(1000, ""))
		return
	}
	s.expectEchoes(limit, s.rounds, opcode, next, func(p []byte) {
		const rsv1 = 4
		s.send(split(opcode, rsv1, s.deflate.compress(p), fragment)...)
	})
}

func units(d *dataset, n int) string {
	if d.text {
		return fmt.Sprintf("%d characters of %s", n, d.name)
	}
	return fmt.Sprintf("%d bytes of %s", n, d.name)
}

func describe(demands []demand) string {
	var all []string
	for _, d := range demands {
		all = append(all, d.String())
	}
	return "The judge asks of the peer: " + strings.Join(all, "; or else: ")
}
