package diagnose

import (
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
)

// upgradeAdvice is the remedy for a proxy that does not forward the Upgrade and
// Connection fields, which concern one hop only (RFC 9110, Section 7.8).
var upgradeAdvice = []string{
	"nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";",
	"Apache: ProxyPass with upgrade=websocket, or RewriteRule to ws://. AWS: an Application Load Balancer, or a listener of TCP, not a classic one of HTTP.",
	"A middleware or a CDN may need WebSocket to be switched on.",
}

// responseFinding explains a response that does not open the connection.
func (o *observer) responseFinding(err *client.HandshakeError) Finding {
	r := err.Response
	if r.Status == 101 {
		return o.invalidUpgrade(err)
	}
	body := strings.ToLower(string(err.Body))
	switch {
	case !o.url.Secure && strings.Contains(body, "https") && strings.Contains(body, "http request"): // nginx, Go, Apache
		return Finding{Kind: "tls-port", Text: "The port expects TLS.", Advice: []string{"Use wss:// in place of ws://."}}
	case upgradeRemoved(r, body):
		return Finding{Kind: "upgrade-removed", Text: fmt.Sprintf("The server received no Upgrade field (status %d): a proxy on the way removed it.", r.Status),
			Advice: upgradeAdvice}
	}
	f := Finding{Kind: fmt.Sprintf("status-%d", r.Status)}
	switch {
	case r.Status >= 300 && r.Status < 400:
		o.redirect(&f, r)
	case r.Status == 401:
		f.Text = "The server wants credentials."
		if scheme := r.Header.Get("WWW-Authenticate"); scheme != "" {
			f.Text = fmt.Sprintf("The server wants credentials: %q.", cut(scheme))
		}
		f.Advice = []string{"Send them: -H 'Authorization: Bearer TOKEN', or USER:PASSWORD@ in front of the host.",
			"A browser cannot set this field: let the server accept a cookie, a subprotocol or a ticket in the query."}
	case r.Status == 403:
		f.Text = "The server does not accept this client."
		if origin := o.field("Origin"); origin != "" {
			f.Advice = []string{fmt.Sprintf("Allow the origin %q in the server.", cut(origin))}
		} else {
			f.Advice = []string{"The server may want the origin of its own pages: -origin https://SITE."}
		}
		f.Advice = append(f.Advice, "The server may want credentials, or not allow this address.")
	case r.Status == 404, r.Status == 410:
		f.Text = fmt.Sprintf("There is no WebSocket endpoint at the path %s.", o.url.Target)
		f.Advice = []string{"Check the path, also a / at its end. Usual ones are /ws, /socket, /cable (Rails) and /socket.io/?EIO=4&transport=websocket.",
			fmt.Sprintf("A virtual host may be missing for the Host %s.", o.hostField())}
	case r.Status == 405:
		f.Text = fmt.Sprintf("The path %s does not accept GET, which a handshake is.", o.url.Target)
		f.Advice = []string{"Check the path: this one belongs to something else."}
	case r.Status == 421:
		f.Text = fmt.Sprintf("The server does not serve the Host %s.", o.hostField())
		f.Advice = []string{"Use the name that the server is configured for, or allow this one.",
			"Behind a proxy: let it forward the Host (nginx: proxy_set_header Host $host)."}
	case r.Status == 426:
		f.Kind = "version"
		f.Text = fmt.Sprintf("The server supports the versions %q of WebSocket, and not 13, the one of RFC 6455.", cut(r.Header.Get("Sec-WebSocket-Version")))
		f.Advice = []string{"Update the server."}
	case r.Status == 429:
		f.Text = "The server limits the number of connections."
		f.Advice = []string{retryAfter(r)}
	case r.Status == 400:
		f.Text = "The server does not accept the handshake request."
		f.Advice = []string{"The server's log, or the body of its response, names the reason.",
			fmt.Sprintf("Check the Host %s: some servers accept only their own name.", o.hostField())}
		f.Advice = append(f.Advice, upgradeAdvice[0])
	case r.Status == 502, r.Status == 504:
		f.Text = "The proxy works, and the server behind it does not answer."
		f.Advice = []string{"Start the server, and check its address and port in the proxy.",
			"The server behind may have closed the connection because it speaks another protocol, such as TLS or HTTP/2 only."}
	case r.Status == 503:
		f.Text = "The server is overloaded or not ready."
		f.Advice = []string{retryAfter(r), "A load balancer answers so if it has no healthy server: check its health checks."}
	case r.Status >= 500:
		f.Text = "The server failed."
		f.Advice = []string{"Look at the server's log."}
	case r.Status >= 200 && r.Status < 300:
		f.Kind = "page"
		f.Text = fmt.Sprintf("The server answered with status %d, as for a page.", r.Status)
		f.Advice = append([]string{fmt.Sprintf("Check the path %s: it may belong to a page.", o.url.Target),
			"A proxy on the way may have removed the Upgrade field:"}, upgradeAdvice...)
	default:
		f.Text = fmt.Sprintf("The server refused the handshake with status %d.", r.Status)
	}
	return f
}

// upgradeRemoved reports whether a response shows that the server did not get
// the fields that this client has sent: it asks for an upgrade, or says that
// the field is missing.
func upgradeRemoved(r *handshake.Response, body string) bool {
	if r.Status == 505 { // to the server, nginx speaks HTTP/1.0 by default
		return true
	}
	if r.Status == 426 {
		version := r.Header.Get("Sec-WebSocket-Version")
		return version == "" || r.Header.HasToken("Sec-WebSocket-Version", "13")
	}
	if r.Status != 400 && r.Status != 405 {
		return false
	}
	for _, said := range [...]string{
		"'upgrade' token not found", "'websocket' token not found", // gorilla
		"not a websocket", "can \"upgrade\" only to", // Python, tornado
		"invalid upgrade header", "missing upgrade", "invalid connection header", "upgrade header", "connection header",
		"only websocket", "expected websocket", "websocket upgrade",
	} {
		if strings.Contains(body, said) {
			return true
		}
	}
	return false
}

// redirect explains a redirection.
func (o *observer) redirect(f *Finding, r *handshake.Response) {
	location := r.Header.Get("Location")
	f.Text = fmt.Sprintf("The server redirects to %q.", cut(location))
	secure := strings.HasPrefix(strings.ToLower(location), "https:") || strings.HasPrefix(strings.ToLower(location), "wss:")
	switch {
	case secure && !o.url.Secure:
		f.Kind = "redirect-tls"
		f.Advice = []string{"Use wss:// in place of ws://."}
	case strings.Contains(strings.ToLower(location), "login"), strings.Contains(strings.ToLower(location), "auth"):
		f.Kind = "redirect-login"
		f.Advice = []string{"The server wants a login: send its session cookie or token."}
	default:
		f.Kind = "redirect"
		f.Advice = []string{"Use the new URL with ws or wss. Browsers do not follow redirects of WebSocket."}
	}
}

// invalidUpgrade explains a 101 response that is not valid.
func (o *observer) invalidUpgrade(err *client.HandshakeError) Finding {
	f := Finding{Kind: "invalid-101", Text: "The server's 101 response is not valid."}
	bad, ok := err.Err.(*handshake.ResponseError)
	if !ok {
		return f
	}
	switch bad.Field {
	case "Sec-WebSocket-Accept":
		f.Text = "The server's 101 response does not answer this request: its Sec-WebSocket-Accept is wrong or missing."
		f.Advice = []string{"A cache may have answered, or the server computes the value wrongly (RFC 6455, Section 4.2.2)."}
	case "Upgrade", "Connection":
		f.Text = fmt.Sprintf("The server's 101 response lacks a valid %s field.", bad.Field)
		f.Advice = append([]string{"A proxy on the way back may have removed it:"}, upgradeAdvice...)
	case "Sec-WebSocket-Protocol":
		f.Kind, f.Text = "subprotocol", "The server chose a subprotocol that was not offered."
		f.Advice = []string{fmt.Sprintf("Offer %q: -subprotocol.", cut(err.Response.Header.Get("Sec-WebSocket-Protocol"))),
			"A server must not choose one if the client offers none (RFC 6455, Section 4.1)."}
	case "Sec-WebSocket-Extensions":
		f.Kind, f.Text = "extension", "The server accepted an extension that was not offered, or with wrong parameters."
		f.Advice = []string{"Try it without compression: -compression off."}
	}
	return f
}

// retryAfter is the advice for an overloaded server.
func retryAfter(r *handshake.Response) string {
	if after := r.Header.Get("Retry-After"); after != "" {
		return fmt.Sprintf("Try again later: Retry-After is %q.", cut(after))
	}
	return "Try again later."
}

// hostField returns the Host field of the request.
func (o *observer) hostField() string {
	if host := o.cfg.Host; host != "" {
		return fmt.Sprintf("%q", cut(host))
	}
	return fmt.Sprintf("%q", o.url.HostHeader())
}

// field returns the caller's value of a header field of the request.
func (o *observer) field(name string) string {
	for n, values := range o.cfg.Header {
		if strings.EqualFold(n, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// cut returns a peer's text, cut after 200 bytes.
func cut(s string) string {
	const limit = 200
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
