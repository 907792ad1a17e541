package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// Chromium's own WebSocket client, as its pages have it: they can neither ping nor fragment, and close with 1000 or 3000 and more only.
func TestChromium(t *testing.T) {
	// A page may connect to this machine if it is from this machine.
	origin := strings.Replace(serveHTTP(t, options{}, http.NotFoundHandler()), "ws://", "http://", 1)
	blank := startBrowser(t).open(t, origin)
	blank.evaluate(pageScript, nil)
	chromium := party{name: "Chromium", pages: []string{strings.TrimSuffix(origin, "/")}, dial: func(t *testing.T, url string, o options) endpoint {
		t.Helper()
		e := chromiumEndpoint{page: blank.in(t)}
		e.evaluate(fmt.Sprintf("dial(%s, %s)", js(url), js(orNone(o.offered))), &e.agreed)
		return e
	}}
	for _, server := range ourServers {
		open := party{name: server.name, listen: func(t *testing.T, o options) (string, func() endpoint) {
			o.origins = chromium.pages
			return server.listen(t, o)
		}}
		p := pair(chromium, open)
		p.clientCannot = []ability{toPing, toFragment, toCloseAsAny}
		runAll(t, p)
		emptyClose.runFrom(t, p, asClient)
		emptyClose.runFrom(t, p, asServer)
	}
	runCompression(t, chromium, []mode{{name: "on", config: true}}, toPing, toFragment)
}

// pageScript defines the functions that the endpoint calls. The latest
// connection is the current one.
const pageScript = `
	let socket, events, readers;

	function dial(url, subprotocols) {
		const opened = new WebSocket(url, subprotocols);
		socket = opened;
		socket.binaryType = "arraybuffer";
		const queue = [];
		const waiting = [];
		[events, readers] = [queue, waiting];
		const put = (event) => waiting.length > 0 ? waiting.shift()(event) : queue.push(event);
		socket.onmessage = ({ data }) => {
			const isText = typeof data === "string";
			const bytes = isText ? new TextEncoder().encode(data) : new Uint8Array(data);
			put({ kind: isText ? "text" : "binary", data: bytes.toBase64() });
		};
		socket.onclose = ({ code, reason }) => put({ kind: "close", code, reason });
		return new Promise((done, fail) => {
			socket.onopen = () => done(opened.protocol);
			socket.onerror = () => fail(new Error("the browser cannot connect"));
		});
	}

	function receive() {
		return events.length > 0 ? events.shift() : new Promise((done) => readers.push(done));
	}

	function send(kind, data) {
		const bytes = Uint8Array.fromBase64(data);
		socket.send(kind === "text" ? new TextDecoder().decode(bytes) : bytes);
	}

	function close(code, reason) {
		if (code === 0) socket.close();
		else socket.close(code, reason);
		return receive();
	}
`

type chromiumEndpoint struct {
	*page
	agreed string
}

func (e chromiumEndpoint) subprotocol() string { return e.agreed }

func (e chromiumEndpoint) send(m event) error {
	return e.try(fmt.Sprintf("send(%s, %s)", js(m.kind), js(m.payload)), nil)
}

func (e chromiumEndpoint) sendFragments(kind, [][]byte) error {
	return fmt.Errorf("a page cannot %s", toFragment)
}

func (e chromiumEndpoint) ping([]byte) error {
	return fmt.Errorf("a page cannot %s", toPing)
}

func (e chromiumEndpoint) receive() (event, error) {
	return e.event("receive()")
}

func (e chromiumEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	return e.event(fmt.Sprintf("close(%d, %s)", int(code), js(reason)))
}

func (e chromiumEndpoint) event(expression string) (event, error) {
	var a answer
	err := e.try(expression, &a)
	return event{kind: a.Kind, payload: a.Data, code: a.Code, reason: a.Reason}, err
}
