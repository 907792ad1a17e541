package hostile

import (
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// afterClose send data after their Close.
var afterClose = []Attack{
	{Profile: 6, Name: "reading", Against: Both, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open()
		p.listen()
		p.send(p.closing(1000, "bye"))
		p.flood(p.frame(wire.Text, "not quite"))
	}},
	{Profile: 6, Name: "not reading", Against: Both, Deaf: true, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open()
		p.send(p.closing(1000, "bye"))
		p.flood(p.frame(wire.Text, "not quite"))
		p.hold()
	}},
	{Profile: 6, Name: "in the middle of a message", Against: Both, Want: closed(wire.GoingAway), play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Text, "half", false))
		p.listen()
		p.send(p.closing(1001, ""))
		p.flood(p.part(wire.Continuation, "a message", false))
	}},
	{Profile: 6, Name: "a Close in every frame", Against: Both, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open()
		p.listen()
		p.flood(p.closing(1000, ""))
	}},
}

// unanswered do not answer the victim's Close.
var unanswered = []Attack{
	sending(7, "silent", lost("CloseTimeout"), func(p *peer) string { return p.frame(wire.Text, Close) }),
	{Profile: 7, Name: "sending on", Against: Both, Want: lost("CloseTimeout"), play: func(p *peer) {
		p.open()
		p.send(p.frame(wire.Text, Close))
		p.dripOn(p.frame(wire.Text, "wait"))
	}},
	{Profile: 7, Name: "pinging on", Against: Both, Want: lost("CloseTimeout"), play: func(p *peer) {
		p.open()
		p.send(p.frame(wire.Text, Close))
		p.dripOn(p.frame(wire.Ping, ""))
	}},
	{Profile: 7, Name: "not reading", Against: Both, Deaf: true, Want: lost("CloseTimeout"), play: func(p *peer) {
		p.deaf()
		p.open()
		p.send(p.frame(wire.Text, Close))
		p.hold()
	}},
	sending(7, "in the middle of a message", lost("CloseTimeout"), func(p *peer) string { return p.frame(wire.Text, Close) + p.part(wire.Text, "half", false) }),
}

// resets returns resets in every state of a connection.
func resets() []Attack {
	inState := func(name string, against Role, want Outcome, reach func(p *peer)) Attack {
		return Attack{Profile: 8, Name: name, Against: against, Want: want, play: func(p *peer) {
			reach(p)
			p.reset()
		}}
	}
	opened := func(name string, then func(p *peer)) Attack {
		return inState(name, Both, lost(), func(p *peer) {
			p.open()
			then(p)
		})
	}
	connected := inState("connected", Both, refused(), func(*peer) {})
	connected.Probe = true
	return []Attack{
		connected,
		inState("half a request", Server, refused(), func(p *peer) { p.send(request(p.Target, asking()...)[:70]) }),
		inState("half a response", Client, refused(), func(p *peer) {
			if key, ok := p.key(); ok {
				p.send(response(accepting(key)...)[:70])
			}
		}),
		opened("open", func(*peer) {}),
		opened("half a header", func(p *peer) { p.send(p.frame(wire.Text, "a")[:1]) }),
		opened("half a payload", func(p *peer) { p.send(p.announce(wire.Binary, 1000, true), "a") }),
		opened("half a message", func(p *peer) { p.send(p.part(wire.Text, "a", false)) }),
		opened("echo under way", func(p *peer) { p.send(p.frame(wire.Text, "a"), p.frame(wire.Ping, "b")) }),
		opened("push under way", func(p *peer) {
			p.send(p.frame(wire.Text, Push))
			p.more()
		}),
		opened("Close received", func(p *peer) {
			p.send(p.frame(wire.Text, Close))
			p.await(wire.Close)
		}),
		inState("Close sent", Both, closed(wire.NormalClosure), func(p *peer) {
			p.open()
			p.send(p.closing(1000, ""))
			p.await(wire.Close)
		}),
		{Profile: 8, Name: "half a ClientHello", Against: Server, BelowTLS: true, Probe: true, Want: refused(), play: func(p *peer) {
			p.send(clientHello[:20])
			p.reset()
		}},
	}
}

// closeCodes returns invalid Close frames.
func closeCodes() []Attack {
	sending := func(name string, want Outcome, frame func(p *peer) string) Attack {
		return sending(15, name, want, frame)
	}
	attacks := []Attack{
		sending("half a code", failed(wire.ProtocolError, "close payload"), func(p *peer) string { return p.frame(wire.Close, "\x03") }),
		sending("a reason that is no UTF-8", failed(wire.InvalidFramePayloadData, "UTF-8"), func(p *peer) string { return p.closing(1000, "bye\xff") }),
		sending("a reason cut within a code point", failed(wire.InvalidFramePayloadData, "UTF-8"), func(p *peer) string { return p.closing(1000, "\xe2\x82") }),
		sending("a reason of 124 bytes", failed(wire.ProtocolError, "125"), func(p *peer) string { return p.closing(1000, strings.Repeat("a", 124)) }),
		sending("in a fragment", failed(wire.ProtocolError, "fragment"), func(p *peer) string { return p.part(wire.Close, "\x03\xe8", false) }),
		sending("a reason for terminals", closed(4000), func(p *peer) string { return p.closing(4000, "\x1b]0;\x07\r\nadmin signed in") }),
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		attacks = append(attacks, sending(fmt.Sprintf("code %d", code), failed(wire.ProtocolError, "status code"), func(p *peer) string { return p.closing(code, "") }))
	}
	return attacks
}
