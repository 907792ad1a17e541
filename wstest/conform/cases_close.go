package conform

import (
	"fmt"
	"strings"
	"time"
)

// closeCases are 7.*: the closing handshake.
func closeCases() []*Case {
	const hello = "Hello World!"
	const clean = "A Close with 1000, or without a code, answers. Nothing else comes, and the closing handshake is clean."
	normal := closePayload(1000, "")
	var cases []*Case
	// add adds a case that expects no events.
	add := func(id, description, expectation string, close ExpectedClose, script ...step) *Case {
		c := &Case{
			ID: id, Description: description, Expectation: expectation,
			Expected: ok(), Close: close, closesLater: true,
			codeMatters: !strings.HasPrefix(id, "7.13.") && id != "7.1.6",
			script:      append(script, kill(time.Second)),
		}
		cases = append(cases, c)
		return c
	}

	echo := add("7.1.1", "A text message. The Close comes after its echo.", "The message comes back. The closing handshake is clean.", normally, send(full(opText, hello)))
	echo.Expected, echo.closesLater = ok(textEvent(hello)), false
	add("7.1.2", "A Close with 1000, then another one.", clean, normally, sendClose(normal), send(full(opClose, "")))
	add("7.1.3", "A Close with 1000, then a Ping.", clean, normally, sendClose(normal), send(full(opPing, "")))
	add("7.1.4", "A Close with 1000, then a text message.", clean, normally, sendClose(normal), send(full(opText, hello)))
	add("7.1.5", "The first fragment of a text message, a Close with 1000, the last fragment.", clean, normally,
		send(part(opText, "fragment1")), sendClose(normal), send(full(opContinuation, "fragment2")))
	long := string(pattern("BAsd7&jh23", 1<<18))
	add("7.1.6", "A text message of 262,144 bytes, a short one, a Close with 1000 and a Ping.", "Whatever: it shows how much a peer does before it closes.", normally,
		send(full(opText, long), full(opText, hello)), sendClose(normal), send(full(opPing, ""))).informational = true

	add("7.3.1", "A Close without payload.", clean, normally, sendClose(nil))
	add("7.3.2", "A Close with a payload of one byte.", failed, refusing, sendClose([]byte("a")))
	add("7.3.3", "A Close with 1000.", clean, normally, sendClose(normal))
	add("7.3.4", "A Close with 1000 and a reason.", clean, normally, sendClose(closePayload(1000, hello)))
	add("7.3.5", "A Close with 1000 and a reason of 123 bytes, the longest that there may be.", clean, normally, sendClose(closePayload(1000, strings.Repeat("*", 123))))
	add("7.3.6", "A Close with 1000 and a reason of 124 bytes, which makes a control frame that is too long.", failed, refusing, sendClose(closePayload(1000, strings.Repeat("*", 124))))
	add("7.5.1", "A Close with 1000 and a reason that is not UTF-8.", "A Close with 1007 or 1002, or without a code, answers, or the connection is ended.",
		ExpectedClose{ByMe: true, Codes: []int{1002, 1007}}, sendClose(closePayload(1000, kosme+surrogate+edited)))

	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		codes := []int{1000}
		if code != 1000 {
			codes = append(codes, code)
		}
		add(fmt.Sprintf("7.7.%d", i+1), fmt.Sprintf("A Close with %d, a code that may be sent.", code),
			"A Close with the same code, with 1000 or without a code answers. The closing handshake is clean.",
			ExpectedClose{ByMe: true, Codes: codes, Clean: true}, sendClose(closePayload(code, "")))
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		add(fmt.Sprintf("7.9.%d", i+1), fmt.Sprintf("A Close with %d, a code that must not be sent.", code), failed, refusing, sendClose(closePayload(code, "")))
	}
	for i, code := range []int{5000, 65535} {
		add(fmt.Sprintf("7.13.%d", i+1), fmt.Sprintf("A Close with %d, a code that has no meaning.", code), "Whatever: the RFC says nothing of it.", refusing, sendClose(closePayload(code, ""))).informational = true
	}
	return cases
}

// pattern returns p repeated, cut to length bytes.
func pattern(p string, length int) []byte {
	return []byte(strings.Repeat(p, length/len(p)+1)[:length])
}
