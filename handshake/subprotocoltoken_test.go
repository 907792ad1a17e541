package handshake

import (
	"strings"
	"testing"
)

func TestSubprotocolToken(t *testing.T) {
	for offered, want := range map[string]string{ // lines separated by "|"
		"chat, token.abc":         "abc",
		"token.abc, chat":         "abc",
		"chat | token.a-b_c.d~":   "a-b_c.d~",
		"token.abc":               "abc",
		"chat":                    "",
		"":                        "",
		"chat, token.":            "",
		"token.a, token.b":        "",
		"token.a | chat, token.a": "",
		"Token.abc":               "",
		"xtoken.abc":              "",
		"chat, token.a/b":         "", // no token of HTTP
		"token":                   "",
	} {
		r := new(Request)
		for line := range strings.SplitSeq(offered, "|") {
			if offered != "" {
				r.Header = append(r.Header, Field{"sec-websocket-protocol", strings.TrimSpace(line)})
			}
		}
		a := &ServerAnswer{Key: "dGhlIHNhbXBsZSBub25jZQ=="}
		got, ok := a.SubprotocolToken(r, "token.")
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", offered, got, ok, want)
		}
		if got, ok := a.SubprotocolToken(r, ""); ok {
			t.Errorf("%q: without a prefix the token is %q", offered, got)
		}
	}
}

// The token is not sent to the client: neither as the choice that was made
// before, nor as a later one. Other subprotocols are.
func TestTokenIsNeverSelected(t *testing.T) {
	r := &Request{Header: Header{{fieldProtocol, "token.SECRET, chat"}}}
	a := &ServerAnswer{Key: "dGhlIHNhbXBsZSBub25jZQ==", Subprotocol: "token.SECRET"}
	if _, ok := a.SubprotocolToken(r, "token."); !ok || a.Subprotocol != "" {
		t.Errorf("the subprotocol is %q", a.Subprotocol)
	}
	for subprotocol, sent := range map[string]bool{"": true, "chat": true, "token": true, "token.SECRET": false, "token.": false} {
		a.Subprotocol = subprotocol
		response, err := AppendResponse(nil, a)
		if _, refused := err.(*FieldError); refused == sent || (len(response) > 0) != sent || err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %q, %v", subprotocol, response, err)
		}
		if sent && strings.Contains(string(response), "SECRET") {
			t.Errorf("%q: %q", subprotocol, response)
		}
	}
}
