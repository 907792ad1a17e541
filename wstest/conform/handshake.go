package conform

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxHead is the limit of the head of a request or response, in bytes.
const maxHead = 64 << 10

// readHead reads the head of a request or response, through the empty line.
// early are the bytes after it.
func readHead(conn net.Conn, within time.Duration) (head, early []byte, err error) {
	conn.SetReadDeadline(time.Now().Add(within))
	defer conn.SetReadDeadline(time.Time{})
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		if i := bytes.Index(all, []byte("\r\n\r\n")); i >= 0 {
			return all[:i+4], all[i+4:], nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return all, nil, err
		}
		if len(all) > maxHead {
			return all, nil, errors.New("the head is longer than 64 KiB")
		}
	}
}

// acceptFor returns the Sec-WebSocket-Accept that belongs to key (RFC 6455,
// Section 4.2.2).
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// userAgent is the judge's User-Agent and Server.
const userAgent = "fibersock-conform"

// A hello is the result of an opening handshake.
type hello struct {
	request, response string
	early             []byte
	agreement         *agreement
	server            string // the response's Server
	timedOut          bool
	refused           error // the server did not answer with 101
}

// hail runs the opening handshake as a client.
func hail(conn net.Conn, u *url.URL, o Options, c *Case, within time.Duration) (hello, error) {
	var h hello
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	request := o.request(u, key, c, false)
	h.request = o.request(u, key, c, true)
	conn.SetWriteDeadline(time.Now().Add(within))
	if _, err := io.WriteString(conn, request); err != nil {
		h.refused = fmt.Errorf("the server did not answer the opening handshake: %w", err)
		return h, h.refused
	}
	conn.SetWriteDeadline(time.Time{})

	head, early, err := readHead(conn, within)
	h.response, h.early = string(head), early
	if err != nil {
		var timeout net.Error
		h.timedOut = errors.As(err, &timeout) && timeout.Timeout()
		h.refused = fmt.Errorf("the server did not answer the opening handshake: %w", err)
		return h, h.refused
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		h.refused = fmt.Errorf("the server's answer is no HTTP response: %w", err)
		return h, h.refused
	}
	h.server = r.Header.Get("Server")
	if r.StatusCode != http.StatusSwitchingProtocols {
		h.refused = fmt.Errorf("the server refused the opening handshake: %.100q", r.Status)
		return h, h.refused
	}
	switch protocols := r.Header["Sec-Websocket-Protocol"]; {
	case r.Proto != "HTTP/1.1":
		return h, fmt.Errorf("the response is of %.20q", r.Proto)
	case !oneIs(r.Header["Upgrade"], "websocket"):
		return h, fmt.Errorf("the response's Upgrade is %.100q", r.Header["Upgrade"])
	case !listHas(r.Header["Connection"], "upgrade"):
		return h, fmt.Errorf("the response's Connection is %.100q", r.Header["Connection"])
	case len(r.Header["Sec-Websocket-Accept"]) != 1 || r.Header["Sec-Websocket-Accept"][0] != acceptFor(key):
		return h, fmt.Errorf("the response's Sec-WebSocket-Accept is %.100q, not %q", r.Header["Sec-Websocket-Accept"], acceptFor(key))
	case len(protocols) > 1:
		return h, fmt.Errorf("the response has %d Sec-WebSocket-Protocol fields: %.100q", len(protocols), protocols)
	case len(protocols) == 1 && !slices.Contains(o.Subprotocols, protocols[0]):
		return h, fmt.Errorf("the server selected the subprotocol %.100q, which was not offered", protocols[0])
	}
	h.agreement, err = c.compression.agree(r.Header["Sec-Websocket-Extensions"])
	return h, err
}

// secretFields are the header fields whose values results omit.
var secretFields = []string{"Authorization", "Proxy-Authorization", "Cookie"}

// request returns the request of the opening handshake, for results without
// secrets.
func (o Options) request(u *url.URL, key string, c *Case, forResults bool) string {
	var b strings.Builder
	field := func(name string, values ...string) {
		for _, value := range values {
			if forResults && slices.Contains(secretFields, name) {
				value = "(left out)"
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	given := make(http.Header)
	for name, values := range o.Header {
		given[http.CanonicalHeaderKey(name)] = append(given[http.CanonicalHeaderKey(name)], values...)
	}
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\n", u.RequestURI())
	field("User-Agent", cmp.Or(given.Get("User-Agent"), userAgent))
	field("Host", cmp.Or(given.Get("Host"), hostPort(u)))
	delete(given, "User-Agent")
	delete(given, "Host")
	b.WriteString("Upgrade: WebSocket\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n")
	field("Sec-WebSocket-Key", key)
	if o.Origin != "" {
		field("Origin", o.Origin)
		delete(given, "Origin")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field(name, given[name]...)
	}
	if len(o.Subprotocols) > 0 {
		field("Sec-WebSocket-Protocol", strings.Join(o.Subprotocols, ", "))
	}
	if c.compression != nil {
		field("Sec-WebSocket-Extensions", c.compression.offer())
	}
	b.WriteString("Sec-WebSocket-Version: 13\r\n\r\n")
	return b.String()
}

// hostPort returns the Host of a request, always with the port.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "wss" {
		return u.Host + ":443"
	}
	return u.Host + ":80"
}

// oneIs reports whether the only line is want, compared without case.
func oneIs(lines []string, want string) bool {
	return len(lines) == 1 && strings.EqualFold(strings.TrimSpace(lines[0]), want)
}

// listed returns the elements of the lines, which are lists.
func listed(lines []string) []string {
	var all []string
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.TrimSpace(element); element != "" {
				all = append(all, element)
			}
		}
	}
	return all
}

// listHas reports whether want is an element of the lines, which are lists,
// compared without case.
func listHas(lines []string, want string) bool {
	return slices.ContainsFunc(listed(lines), func(element string) bool { return strings.EqualFold(element, want) })
}

// checkRequest returns the fault of a client's opening handshake.
func checkRequest(r *http.Request) error {
	key := r.Header["Sec-Websocket-Key"]
	switch version := r.Header["Sec-Websocket-Version"]; {
	case r.Method != http.MethodGet:
		return fmt.Errorf("the method is %.20q", r.Method)
	case !r.ProtoAtLeast(1, 1):
		return fmt.Errorf("the request is of %.20q", r.Proto)
	case r.Host == "":
		return errors.New("there is no Host")
	case !listHas(r.Header["Upgrade"], "websocket"):
		return fmt.Errorf("the request's Upgrade is %.100q", r.Header["Upgrade"])
	case !listHas(r.Header["Connection"], "upgrade"):
		return fmt.Errorf("the request's Connection is %.100q", r.Header["Connection"])
	case len(version) != 1 || version[0] != "13" && version[0] != "8":
		return fmt.Errorf("the request's Sec-WebSocket-Version is %.100q", version)
	case len(key) != 1 || len(key[0]) != 24 || !strings.HasSuffix(key[0], "=="):
		return fmt.Errorf("the request's Sec-WebSocket-Key is %.100q", key)
	}
	if _, err := base64.StdEncoding.DecodeString(key[0]); err != nil {
		return fmt.Errorf("the request's Sec-WebSocket-Key is not base64: %.100q", key[0])
	}
	return nil
}

// welcome returns the response 101 to a valid request.
func welcome(r *http.Request, subprotocol, extensions string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 101 Switching Protocols\r\nServer: %s\r\n", userAgent)
	b.WriteString("Upgrade: WebSocket\r\nConnection: Upgrade\r\n")
	fmt.Fprintf(&b, "Sec-WebSocket-Accept: %s\r\n", acceptFor(r.Header.Get("Sec-WebSocket-Key")))
	if subprotocol != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", subprotocol)
	}
	if extensions != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Extensions: %s\r\n", extensions)
	}
	b.WriteString("\r\n")
	return b.String()
}
