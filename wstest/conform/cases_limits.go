package conform

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

const kiB, miB = 1 << 10, 1 << 20

// limitCases are 9.*: large messages, in large and in small frames, and many
// round trips. They measure the time until the echo.
func limitCases() []*Case {
	var cases []*Case
	// echo adds a case with one message, cut into fragments of size bytes (0:
	// one frame).
	echo := func(id string, opcode int, fill string, length, size int, in pacing, limit time.Duration) {
		description := fmt.Sprintf("A %s message of %s", kindOf(opcode), bytesOf(length))
		if size > 0 {
			description += fmt.Sprintf(", in fragments of %s", bytesOf(size))
		}
		cases = append(cases, &Case{
			ID: id, Description: description + in.words() + ".",
			Expectation: fmt.Sprintf("The message comes back within %v. The closing handshake is clean.", limit),
			Close:       normally, closesLater: true, measures: true,
			play: func(s *session) {
				payload := pattern(fill, length)
				s.expectEchoes(limit, 1, opcode, func() []byte { return payload }, func(p []byte) {
					s.sendIn(in, split(opcode, 0, p, size)...)
				})
			},
		})
	}
	const (
		textFill   = "BAsd7&jh23"
		binaryFill = "\x00\xfe\x23\xfa\xf0"
	)
	const short, long, longest = 10 * time.Second, 100 * time.Second, 1000 * time.Second
	for i, length := range []int{64 * kiB, 256 * kiB, miB, 4 * miB, 8 * miB, 16 * miB} {
		limits := [2]time.Duration{short, short}
		if i >= 2 {
			limits[0] = long
		}
		if i >= 4 {
			limits[1] = long
		}
		echo(fmt.Sprintf("9.1.%d", i+1), opText, textFill, length, 0, whole, limits[0])
		echo(fmt.Sprintf("9.2.%d", i+1), opBinary, binaryFill, length, 0, whole, limits[1])
	}
	for i, size := range []int{64, 256, kiB, 4 * kiB, 16 * kiB, 64 * kiB, 256 * kiB, miB, 4 * miB} {
		binaryFragment := "*"
		if i == 0 {
			binaryFragment = "\xfe"
		}
		echo(fmt.Sprintf("9.3.%d", i+1), opText, "*", 4*miB, size, whole, long)
		echo(fmt.Sprintf("9.4.%d", i+1), opBinary, binaryFragment, 4*miB, size, whole, long)
	}
	for i, in := range []pacing{64, 128, 256, 512, 1024, 2048} {
		echo(fmt.Sprintf("9.5.%d", i+1), opText, textFill, miB, 0, in, longest)
		echo(fmt.Sprintf("9.6.%d", i+1), opBinary, binaryFill, miB, 0, in, longest)
	}

	for i, v := range []struct {
		length int
		limit  time.Duration
	}{
		{0, 60 * time.Second}, {16, 60 * time.Second}, {64, 60 * time.Second},
		{256, 120 * time.Second}, {1024, 240 * time.Second}, {4096, 480 * time.Second},
	} {
		for j, opcode := range []int{opText, opBinary} {
			cases = append(cases, &Case{
				ID:          fmt.Sprintf("9.%d.%d", 7+j, i+1),
				Description: fmt.Sprintf("%d %s messages of %s, each when the one before has come back.", echoRounds, kindOf(opcode), bytesOf(v.length)),
				Expectation: fmt.Sprintf("All messages come back within %v. The closing handshake is clean.", v.limit),
				Close:       normally, closesLater: true, measures: true,
				play: func(s *session) {
					payload := []byte(strings.Repeat([]string{"*", "\xfe"}[j], v.length))
					s.expectEchoes(v.limit, s.rounds, opcode, func() []byte { return payload }, func(p []byte) {
						s.send(full(opcode, string(p)))
					})
				},
			})
		}
	}
	return cases
}

// echoRounds is the default of Options.Rounds.
const echoRounds = 1000

// expectEchoes sends messages, each after the echo of the one before, and
// judges the echoes within limit. next returns a message's payload, and send
// sends it.
func (s *session) expectEchoes(limit time.Duration, rounds, opcode int, next func() []byte, send func([]byte)) {
	began := time.Now()
	want := next()
	round := 1
	s.onMessage = func(binary bool, p []byte) {
		switch {
		case s.verdict == OK:
			s.verdict = Failed
			s.why = fmt.Sprintf("a message of %d bytes came after all that were sent had come back", len(p))
			return
		case s.verdict != "": // the first reason stands
			return
		case binary != (opcode == opBinary):
			s.judge(Failed, "message %d came back with another type", round)
		case len(p) != len(want):
			s.judge(Failed, "message %d came back with %d bytes, not %d", round, len(p), len(want))
		case !bytes.Equal(p, want):
			s.judge(Failed, "message %d came back changed", round)
		case round == rounds:
			s.measured = time.Since(began)
			s.judge(OK, "all came back in %v", s.measured.Round(time.Millisecond))
		default:
			round++
			want = next()
			send(want)
			return
		}
		s.sendClose(closePayload(1000, ""))
	}
	send(want)
	s.after(s.options.patient(limit), func() {
		s.judge(Failed, "%v were over when message %d of %d had not come back", limit, round, rounds)
		s.sendClose(nil)
	})
}

func kindOf(opcode int) string {
	if opcode == opBinary {
		return "binary"
	}
	return "text"
}

func bytesOf(n int) string {
	switch {
	case n >= miB && n%miB == 0:
		return fmt.Sprintf("%d MiB", n/miB)
	case n >= kiB && n%kiB == 0:
		return fmt.Sprintf("%d KiB", n/kiB)
	}
	return fmt.Sprintf("%d bytes", n)
}
