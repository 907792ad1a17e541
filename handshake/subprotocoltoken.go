package handshake

import "strings"

// SubprotocolToken returns the access token that the client offers as a
// subprotocol with the prefix, for instance "token.". A page in a browser
// cannot set header fields, and can write
//
//	new WebSocket(url, ["chat", "token." + token])
//
// The token is the text behind the prefix. It consists of the characters of a
// token (RFC 9110, Section 5.6.2): base64 for URLs without padding does. ok is
// false without a token, with an empty one, and with more than one. Compare the
// token in constant time: crypto/subtle.
//
// The response never repeats the token: SubprotocolToken removes it from
// a.Subprotocol, and [AppendResponse] returns a [*FieldError] for a Subprotocol
// with the prefix. The client must offer another subprotocol and the server
// must select it, because a browser closes a connection without a selected one.
//
// Call SubprotocolToken in the Authorize of a server. The prefix must not be
// empty.
func (a *ServerAnswer) SubprotocolToken(r *Request, prefix string) (token string, ok bool) {
	if prefix == "" {
		return "", false
	}
	a.secretPrefix = prefix
	if a.hasSecret() {
		a.Subprotocol = ""
	}
	offered, _ := r.Header.parseSubprotocols()
	tokens := 0
	for _, name := range offered {
		if rest, found := strings.CutPrefix(name, prefix); found {
			token = rest
			tokens++
		}
	}
	if tokens != 1 || token == "" {
		return "", false
	}
	return token, true
}

// hasSecret reports whether the subprotocol is an access token.
func (a *ServerAnswer) hasSecret() bool {
	return a.secretPrefix != "" && strings.HasPrefix(a.Subprotocol, a.secretPrefix)
}
