package conform

import (
	"fmt"
	"time"
)

// fragmentationCases are 5.*.
func fragmentationCases() []*Case {
	const (
		f1, f2, f3, f4, f5 = "fragment1", "fragment2", "fragment3", "fragment4", "fragment5"
		hello              = "Hello, world!"
		comesBack          = "The message comes back. The closing handshake is clean."
	)
	var cases []*Case
	add := func(n int, description, expectation string, expected []Alternative, close ExpectedClose, script ...step) {
		cases = append(cases, &Case{
			ID: fmt.Sprintf("5.%d", n), Description: description, Expectation: expectation,
			Expected: expected, Close: close, script: script,
		})
	}
	ways := []pacing{whole, byItself, 1}

	add(1, "A Ping in two fragments.", failed, ok(), failing, send(part(opPing, f1), full(opContinuation, f2)), kill(time.Second))
	add(2, "A Pong in two fragments.", failed, ok(), failing, send(part(opPong, f1), full(opContinuation, f2)), kill(time.Second))
	for i, in := range ways {
		add(3+i, "A text message in two fragments"+in.words()+".", comesBack, ok(textEvent(f1+f2)), normally,
			sendIn(in, part(opText, f1), full(opContinuation, f2)), closeIn(time.Second))
	}
	for i, in := range ways {
		add(6+i, "A text message in two fragments, with a Ping between them"+in.words()+".", "A Pong comes, then the message. The closing handshake is clean.",
			ok(pongEvent("ping payload"), textEvent(f1+f2)), normally,
			sendIn(in, part(opText, f1), full(opPing, "ping payload"), full(opContinuation, f2)), closeIn(time.Second))
	}
	for i, in := range ways {
		add(9+i, "A continuation with FIN that continues nothing, then a text message"+in.words()+".", failed, ok(), failing,
			sendIn(in, full(opContinuation, "non-continuation payload"), full(opText, hello)), kill(time.Second))
	}
	for i, in := range ways {
		add(12+i, "A continuation without FIN that continues nothing, then a text message"+in.words()+".", failed, ok(), failing,
			sendIn(in, part(opContinuation, "non-continuation payload"), full(opText, hello)), kill(time.Second))
	}
	add(15, "A text message in two fragments, then a continuation without FIN that continues nothing, then a text message.", echoedFirst,
		okOr(nil, textEvent(f1+f2)), failing,
		send(part(opText, f1), full(opContinuation, f2), part(opContinuation, f3), full(opText, f4)), kill(time.Second))
	add(16, "Twice a continuation without FIN that continues nothing, and a text message in two fragments.", failed, ok(), failing,
		send(part(opContinuation, f1), part(opText, f2), full(opContinuation, f3), part(opContinuation, f1), part(opText, f2), full(opContinuation, f3)), kill(time.Second))
	add(17, "Twice a continuation with FIN that continues nothing, and a text message in two fragments.", failed, ok(), failing,
		send(full(opContinuation, f1), part(opText, f2), full(opContinuation, f3), full(opContinuation, f1), part(opText, f2), full(opContinuation, f3)), kill(time.Second))
	add(18, "The first fragment of a text message, then another text message.", failed, ok(), failing,
		send(part(opText, f1), full(opText, f2)), kill(time.Second))
	for i, in := range ways[:2] {
		add(19+i, "A text message in five fragments, with Pings after the second and the fourth, and a second's wait after the first Ping"+in.words()+".",
			"The Pongs come, then the message. The closing handshake is clean.",
			ok(pongEvent("pongme 1!"), pongEvent("pongme 2!"), textEvent(f1+f2+f3+f4+f5)), normally,
			sendIn(in, part(opText, f1), part(opContinuation, f2), full(opPing, "pongme 1!")),
			later(time.Second, ""),
			sendIn(in, part(opContinuation, f3), part(opContinuation, f4), full(opPing, "pongme 2!"), full(opContinuation, f5)),
			closeIn(time.Second))
	}
	return cases
}
