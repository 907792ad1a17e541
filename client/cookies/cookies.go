// Package cookies stores the cookies of WebSocket servers in a CookieJar of
// net/http, such as a *cookiejar.Jar. It is a package of its own because
// package client does not import net/http.
package cookies

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
)

// Jar returns the value of client.Config.Cookies that uses jar. ws and wss URLs
// have the cookies of http and https URLs. An http.Client with the same jar
// shares the cookies: it can sign in, and Dial sends the session cookie.
//
// Any number of Dials may use it at the same time, as jar requires no less of
// its implementation.
func Jar(jar http.CookieJar) client.Cookies { return client.NewCookies(adapter{jar}) }

// adapter is a client.CookieJar.
type adapter struct{ jar http.CookieJar }

// AddCookies adds the cookies of the jar behind those that the caller has set.
func (a adapter) AddCookies(u *handshake.URL, header map[string][]string) {
	cookies := a.jar.Cookies(httpURL(u))
	if len(cookies) == 0 {
		return
	}
	var pairs []string
	for name, values := range header {
		if strings.EqualFold(name, "Cookie") {
			pairs = append(pairs, values...)
			delete(header, name)
		}
	}
	request := http.Request{Header: make(http.Header)}
	for _, c := range cookies {
		request.AddCookie(c) // drops bytes that are not allowed
	}
	header["Cookie"] = []string{strings.Join(append(pairs, request.Header.Get("Cookie")), "; ")}
}

// SetCookies stores the valid cookies of a response.
func (a adapter) SetCookies(u *handshake.URL, response *handshake.Response) {
	var cookies []*http.Cookie
	for _, line := range response.Header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			cookies = append(cookies, c)
		}
	}
	if len(cookies) > 0 {
		a.jar.SetCookies(httpURL(u), cookies)
	}
}

// httpURL returns u as an http or https URL, without userinfo.
func httpURL(u *handshake.URL) *url.URL {
	scheme := "http"
	if u.Secure {
		scheme = "https"
	}
	path, query, _ := strings.Cut(u.Target, "?")
	to := &url.URL{Scheme: scheme, Host: u.HostHeader(), Path: path, RawQuery: query}
	if decoded, err := url.PathUnescape(path); err == nil {
		to.Path, to.RawPath = decoded, path
	}
	return to
}
