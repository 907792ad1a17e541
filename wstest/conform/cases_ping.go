package conform

import (
	"fmt"
	"strings"
	"time"
)

// pingCases are 2.*: Pings, and Pongs without a Ping.
func pingCases() []*Case {
	const answered = "A Pong with the same payload comes. The closing handshake is clean."
	ping := func(id, description, payload string, in pacing, d time.Duration) *Case {
		return &Case{
			ID: id, Description: description, Expectation: answered,
			Expected: ok(pongEvent(payload)), Close: normally,
			script: []step{sendIn(in, full(opPing, payload)), closeIn(d)},
		}
	}
	longest := strings.Repeat("\xfe", 125)
	cases := []*Case{
		ping("2.1", "A Ping without payload.", "", whole, time.Second),
		ping("2.2", "A Ping with a text as its payload.", "Hello, world!", whole, time.Second),
		ping("2.3", "A Ping with a binary payload that is not UTF-8.", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", whole, time.Second),
		ping("2.4", "A Ping with 125 bytes of payload, the most that there may be.", longest, whole, time.Second),
		{
			ID:          "2.5",
			Description: "A Ping with 126 bytes of payload, which is illegal.",
			Expectation: "The connection is failed with 1002, or ended.",
			Expected:    ok(), Close: failing,
			script: []step{send(full(opPing, longest+"\xfe")), kill(time.Second)},
		},
		ping("2.6", "A Ping with 125 bytes of payload, written octet by octet.", longest, 1, 2*time.Second),
	}
	for i, payload := range []string{"", "unsolicited pong payload"} {
		cases = append(cases, &Case{
			ID:          fmt.Sprintf("2.%d", 7+i),
			Description: fmt.Sprintf("A Pong that answers nothing, with the payload %q, then a Close with 1000.", payload),
			Expectation: "Nothing answers the Pong. The closing handshake is clean.",
			Expected:    ok(), Close: normally, closesLater: true,
			script: []step{send(full(opPong, payload)), sendClose(closePayload(1000, "")), closeIn(time.Second)},
		})
	}
	cases = append(cases, &Case{
		ID:          "2.9",
		Description: "A Pong that answers nothing, then a Ping.",
		Expectation: "A Pong answers the Ping, and nothing the Pong. The closing handshake is clean.",
		Expected:    ok(pongEvent("ping payload")), Close: normally,
		script: []step{send(full(opPong, "unsolicited pong payload"), full(opPing, "ping payload")), closeIn(time.Second)},
	})
	var pings []frame
	var pongs []Event
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		pings = append(pings, full(opPing, payload))
		pongs = append(pongs, pongEvent(payload))
	}
	for i, in := range []pacing{whole, 1} {
		description := "Ten Pings with different payloads."
		if in > 0 {
			description = "Ten Pings with different payloads, written octet by octet."
		}
		cases = append(cases, &Case{
			ID: fmt.Sprintf("2.%d", 10+i), Description: description,
			Expectation: "A Pong answers each Ping, in their order. The closing handshake is clean.",
			Expected:    ok(pongs...), Close: normally,
			script: []step{sendIn(in, pings...), closeIn(3 * time.Second)},
		})
	}
	return cases
}
