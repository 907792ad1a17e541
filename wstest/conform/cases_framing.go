package conform

import (
	"fmt"
	"strings"
	"time"
)

// framingCases are 1.*: messages of one frame, of the lengths at which the
// frame's header changes.
func framingCases() []*Case {
	var cases []*Case
	for i, kind := range []struct {
		name   string
		opcode int
		fill   string
		event  func(string) Event
	}{
		{"text", opText, "*", textEvent},
		{"binary", opBinary, "\xfe", binaryEvent},
	} {
		for j, v := range []struct {
			length int
			in     pacing
			time   time.Duration
		}{
			{0, whole, time.Second},
			{125, whole, time.Second},
			{126, whole, time.Second},
			{127, whole, time.Second},
			{128, whole, time.Second},
			{65535, whole, 10 * time.Second},
			{65536, whole, 10 * time.Second},
			{65536, 997, 10 * time.Second},
		} {
			payload := strings.Repeat(kind.fill, v.length)
			description := fmt.Sprintf("A %s message with %d bytes of payload.", kind.name, v.length)
			if v.in > 0 {
				description += fmt.Sprintf(" Its octets are written %d at a time.", v.in)
			}
			cases = append(cases, &Case{
				ID:          fmt.Sprintf("1.%d.%d", i+1, j+1),
				Description: description,
				Expectation: "The message comes back. The closing handshake is clean.",
				Expected:    ok(kind.event(payload)),
				Close:       normally,
				script:      []step{sendIn(v.in, full(kind.opcode, payload)), kill(v.time)},
			})
		}
	}
	return cases
}

// autoFragmentationCases are 10.*.
func autoFragmentationCases() []*Case {
	payload := strings.Repeat("*", 65536)
	return []*Case{{
		ID:          "10.1.1",
		Description: "A text message of 65,536 bytes, in fragments of 1,300.",
		Expectation: "The message comes back. The closing handshake is clean.",
		Expected:    ok(textEvent(payload)),
		Close:       normally,
		script:      []step{send(split(opText, 0, []byte(payload), 1300)...), kill(10 * time.Second)},
	}}
}
