package conform

import (
	"fmt"
	"time"
)

const (
	failed = "The connection is failed with 1002, or ended, at once."
	// echoedFirst is the expectation of an illegal frame after a legal message.
	echoedFirst = "The first message comes back, then the connection is failed with 1002, or ended. If it is failed without the message, that is not as good."
)

// reservedBitCases are 3.*: RSV1, RSV2 and RSV3 without an extension.
func reservedBitCases() []*Case {
	const hello = "Hello, world!"
	alone := func(id, what string, f frame) *Case {
		return &Case{
			ID:          id,
			Description: fmt.Sprintf("%s with reserved bits %03b.", what, f.rsv),
			Expectation: failed,
			Expected:    ok(), Close: failing,
			script: []step{send(f), kill(time.Second)},
		}
	}
	cases := []*Case{
		alone("3.1", "A text message", reserved(1, opText, hello)),
		alone("3.5", "A binary message", reserved(5, opBinary, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
		alone("3.6", "A binary message", reserved(6, opBinary, hello)),
		alone("3.7", "A Close without payload", reserved(7, opClose, "")),
	}
	for _, v := range []struct {
		id  string
		rsv int
		in  pacing
	}{
		{"3.2", 2, whole},
		{"3.3", 3, byItself},
		{"3.4", 4, 1},
	} {
		cases = append(cases, &Case{
			ID:          v.id,
			Description: fmt.Sprintf("A text message, another one with reserved bits %03b, and a Ping%s.", v.rsv, v.in.words()),
			Expectation: echoedFirst,
			Expected:    okOr(nil, textEvent(hello)), Close: failing,
			script: []step{sendIn(v.in, full(opText, hello), reserved(v.rsv, opText, hello), full(opPing, "")), kill(time.Second)},
		})
	}
	return cases
}

// words describes the pacing at the end of a sentence.
func (c pacing) words() string {
	switch {
	case c == byItself:
		return ", each frame written by itself"
	case c == 1:
		return ", written octet by octet"
	case c > 1:
		return fmt.Sprintf(", written %d octets at a time", int(c))
	}
	return ""
}

// opcodeCases are 4.*: opcodes that are reserved.
func opcodeCases() []*Case {
	const hello = "Hello, world!"
	var cases []*Case
	for i, first := range []int{3, 11} {
		kind := []string{"non-control", "control"}[i]
		for j, payload := range []string{"", "reserved opcode payload", "", hello, hello} {
			opcode := first + j
			c := &Case{
				ID:          fmt.Sprintf("4.%d.%d", i+1, j+1),
				Description: fmt.Sprintf("A frame with the reserved %s opcode %d and the payload %q.", kind, opcode, payload),
				Expectation: failed,
				Expected:    ok(), Close: failing,
				script: []step{send(full(opcode, payload)), kill(time.Second)},
			}
			if j >= 2 {
				in := whole
				if j == 4 {
					in = 1
				}
				c.Description = fmt.Sprintf("A text message, a frame with the reserved %s opcode %d and the payload %q, and a Ping%s.", kind, opcode, payload, in.words())
				c.Expectation = echoedFirst
				c.Expected = okOr(nil, textEvent(hello))
				c.script = []step{sendIn(in, full(opText, hello), full(opcode, payload), full(opPing, "")), kill(time.Second)}
			}
			cases = append(cases, c)
		}
	}
	return cases
}
