package conform

import "net/http"

// someCases are one case or two of each class.
const someCases = "1.1.1 2.1 2.5 3.1 3.2 4.1.1 4.2.3 5.3 5.9 6.2.1 6.4.1 6.12.1 7.1.1 7.3.1 7.9.1 9.1.1 10.1.1 12.1.1 13.1.1"

// answers returns faults that change the server's opening handshake.
func answers(change func(h http.Header)) testeeFaults { return testeeFaults{response: change} }

// handshakeMutants break RFC 6455, Section 4.2.2. A client cannot show such faults in a case, because an
// invalid request selects no case.
var handshakeMutants = []mutant{
	notOpened("Sec-WebSocket-Accept is wrong", answers(func(h http.Header) { h.Set("Sec-WebSocket-Accept", testeeAccept("")) })),
	notOpened("there is no Sec-WebSocket-Accept", answers(func(h http.Header) { h.Del("Sec-WebSocket-Accept") })),
	notOpened("Sec-WebSocket-Accept is there twice", answers(func(h http.Header) {
		h["Sec-WebSocket-Accept"] = append(h["Sec-Websocket-Accept"], "")
	})),
	notOpened("there is no Upgrade", answers(func(h http.Header) { h.Del("Upgrade") })),
	notOpened("Upgrade is something else", answers(func(h http.Header) { h.Set("Upgrade", "h2c") })),
	notOpened("there is no Connection", answers(func(h http.Header) { h.Del("Connection") })),
	notOpened("Connection is keep-alive", answers(func(h http.Header) { h.Set("Connection", "keep-alive") })),
	notOpened("a subprotocol is chosen that was not offered", answers(func(h http.Header) { h.Set("Sec-WebSocket-Protocol", "chat") })),
	notOpened("an extension is accepted that was not offered", answers(func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "x-echo") })),
	{
		name: "permessage-deflate is accepted, offered or not", role: Server, only: someCases,
		faults: answers(func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate") }),
		caught: []catch{{cases: someCases, except: "12.* 13.*", behavior: Failed, close: Failed}},
	},
	{
		name: "permessage-deflate is accepted with a parameter that does not exist", role: Server, only: someCases,
		faults: answers(func(h http.Header) {
			if h.Get("Sec-WebSocket-Extensions") != "" {
				h.Set("Sec-WebSocket-Extensions", "permessage-deflate; level=9")
			}
		}),
		caught: []catch{{cases: "12.1.1 13.1.1", behavior: Failed, close: Failed}},
	},
}

// notOpened returns a mutant whose opening handshake is such that no case begins.
func notOpened(name string, faults testeeFaults) mutant {
	return mutant{name: name, role: Server, faults: faults, only: someCases, caught: []catch{bothFailed(someCases)}}
}
