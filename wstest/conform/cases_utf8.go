package conform

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const (
	// manyKinds is 22 characters with one and two octets.
	manyKinds = "Hello-µ@ßöäüàá-UTF-8!!"
	// kosme is five Greek letters, one of three octets among them.
	kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	// surrogate is the encoding of U+D800, which UTF-8 forbids.
	surrogate = "\xed\xa0\x80"
	// tooLarge is U+110000.
	tooLarge = "\xf4\x90\x80\x80"
	edited   = "edited"
)

const (
	echoed     = "The message comes back. The closing handshake is clean."
	failedUTF8 = "The connection is failed with 1007, or ended, at once."
)

// utf8Cases are 6.*: text messages that are UTF-8, and some that are not.
func utf8Cases() []*Case {
	var cases []*Case
	good := func(id, description, payload string, frames ...frame) {
		cases = append(cases, &Case{
			ID: id, Description: description, Expectation: echoed,
			Expected: ok(textEvent(payload)), Close: normally,
			script: []step{send(frames...), closeIn(time.Second)},
		})
	}
	good("6.1.1", "A text message without payload.", "", full(opText, ""))
	good("6.1.2", "A text message in three fragments without payload.", "", part(opText, ""), part(opContinuation, ""), full(opContinuation, ""))
	good("6.1.3", "A text message in three fragments, of which only the second has a payload.", "middle frame payload",
		part(opText, ""), part(opContinuation, "middle frame payload"), full(opContinuation, ""))
	good("6.2.1", "A text message with characters of one and two octets.", manyKinds, full(opText, manyKinds))
	first, second, _ := strings.Cut(manyKinds, "ü")
	good("6.2.2", "The same in two fragments, cut between characters.", manyKinds, part(opText, first), full(opContinuation, "ü"+second))
	good("6.2.3", "The same in fragments of one octet each, and an empty one.", manyKinds, split(opText, 0, []byte(manyKinds), 1)...)
	good("6.2.4", "Characters of two and three octets in fragments of one octet each, and an empty one.", kosme, split(opText, 0, []byte(kosme), 1)...)

	const broken = kosme + surrogate + edited
	for i, frames := range [][]frame{{full(opText, broken)}, split(opText, 0, []byte(broken), 1)} {
		cases = append(cases, &Case{
			ID:          fmt.Sprintf("6.3.%d", i+1),
			Description: []string{"A text message with a surrogate in it.", "The same in fragments of one octet each, and an empty one."}[i],
			Expectation: failedUTF8,
			Expected:    ok(), Close: failingUTF8,
			script: []step{send(frames...), kill(time.Second)},
		})
	}
	cases = append(cases, failFastCases()...)
	return append(cases, utf8SequenceCases()...)
}

// failFastCases are 6.4.*: an invalid octet before the end of its message or
// frame.
func failFastCases() []*Case {
	var cases []*Case
	for i, v := range []struct {
		in     string
		pieces [3]string
	}{
		{"fragments", [3]string{kosme, tooLarge, edited}},
		{"fragments", [3]string{kosme + tooLarge[:1], tooLarge[1:2], tooLarge[2:] + edited}},
		{"pieces of one frame", [3]string{kosme, tooLarge, edited}},
		{"pieces of one frame", [3]string{kosme + tooLarge[:1], tooLarge[1:2], tooLarge[2:] + edited}},
	} {
		write := [3]step{
			send(part(opText, v.pieces[0])),
			send(part(opContinuation, v.pieces[1])),
			send(full(opContinuation, v.pieces[2])),
		}
		if i >= 2 {
			write = writePieces(v.pieces)
		}
		cases = append(cases, &Case{
			ID: fmt.Sprintf("6.4.%d", i+1),
			Description: fmt.Sprintf("A text message in three %s, a second between them: %q is valid, in %q is an octet that no text can have there, %q is the rest.",
				v.in, v.pieces[0], v.pieces[1], v.pieces[2]),
			Expectation: "The connection is failed with 1007, or ended, after the second piece and before the third. At the message's end is not as good, before the second piece is wrong.",
			Expected:    okOr([]Event{timeoutEvent("A"), timeoutEvent("B")}, timeoutEvent("A")),
			Close:       failingUTF8,
			script: []step{
				write[0], later(time.Second, "A"),
				write[1], later(time.Second, "B"),
				write[2], kill(time.Second),
			},
		})
	}
	return cases
}

// writePieces returns the steps that write one frame in three pieces, and an
// empty last fragment.
func writePieces(pieces [3]string) [3]step {
	var steps [3]step
	for i := range steps {
		steps[i] = func(s *session) *wait {
			if i == 0 {
				s.pieces = s.sendPieces(part(opText, ""), []byte(pieces[0]), []byte(pieces[1]), []byte(pieces[2]))
			}
			s.pieces[i]()
			if i == 2 {
				s.send(full(opContinuation, ""))
			}
			return nil
		}
	}
	return steps
}

// utf8SequenceCases are 6.5 to 6.23.
func utf8SequenceCases() []*Case {
	var cases []*Case
	title := ""
	for line := range strings.Lines(utf8Sequences) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.Count(id, ".") {
		case 1:
			title = rest
		case 2:
			verdict, digits, _ := strings.Cut(rest, " ")
			payload, err := hex.DecodeString(digits)
			if err != nil {
				panic(id + ": " + err.Error()) // the table is ours
			}
			c := &Case{
				ID:          id,
				Description: fmt.Sprintf("A text message, %s: % x.", title, payload),
				Expectation: echoed,
				Expected:    ok(textEvent(string(payload))), Close: normally,
				script: []step{send(full(opText, string(payload))), kill(time.Second / 2)},
			}
			if verdict != "ok" {
				c.Expectation = failedUTF8
				c.Expected, c.Close = ok(), failingUTF8
			}
			cases = append(cases, c)
		}
	}
	return cases
}
