package fuzz

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// URL reads data as a URL. The string of a parsed URL must parse to the same
// URL, its host and port must be those of net/url, and it must be valid in a
// request. Neither the string nor an error contains the user and password.
func URL(data []byte) int {
	text := string(data)
	u, err := handshake.ParseURL(text)
	if err != nil {
		checkURLError(text, err)
		return dull
	}
	again, err := handshake.ParseURL(u.String())
	written := *u
	written.User = nil
	if err != nil || *again != written {
		violated("a URL that is written is read back, without the user", "%q: %+v as %q: %+v, %v", text, u, u.String(), again, err)
	}
	if u.Secure != (u.Scheme == "wss") || !u.Secure && u.Scheme != "ws" || u.Port == 0 {
		violated("a URL is ws or wss and has a port", "%q: %+v", text, u)
	}
	checkHost(text, u)
	o := handshake.ClientOffer{Host: u.HostHeader(), Target: u.Target, Key: sampleKey}
	if _, err := handshake.AppendRequest(nil, &o); err != nil {
		violated("a URL that was read can be asked for", "%q: %+v: %v", text, u, err)
	}
	return interesting
}

// checkHost compares the host with that of net/url, where net/url accepts the
// URL: a program that checks a URL with net/url must not connect to another
// host.
func checkHost(text string, u *handshake.URL) {
	other, err := url.Parse(text)
	if err != nil {
		return
	}
	port := strconv.Itoa(int(u.Port))
	if p := strings.TrimLeft(other.Port(), "0"); p != "" && p != port {
		violated("the port is that which net/url finds", "%q: %s, not %s", text, port, p)
	}
	host := asciiLower(other.Hostname())
	if decoded, err := url.PathUnescape(u.Host); host != asciiLower(u.Host) && (err != nil || host != asciiLower(decoded)) && !sameAddress(host, u.Host) {
		violated("the host is that which net/url finds", "%q: %q, not %q", text, u.Host, host)
	}
}

func sameAddress(a, b string) bool {
	x, err1 := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err1 == nil && err2 == nil && strings.EqualFold(x.String(), y.String())
}

// checkURLError searches the text of an error for the part before the "@".
func checkURLError(text string, err error) {
	var refused *handshake.URLError
	if !errors.As(err, &refused) || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
		violated("an invalid URL is a *URLError, fit for a log", "%q: %T: %q", text, err, err.Error())
	}
	const secret = "hunter2-hunter2"
	_, rest, _ := strings.Cut(text, "://")
	if !strings.Contains(rest, "@") {
		return
	}
	if _, err := handshake.ParseURL("ws://user:" + secret + rest); err != nil && strings.Contains(err.Error(), secret) {
		violated("an error does not show a password", "%q: %s", rest, err)
	}
}
