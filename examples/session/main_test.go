package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

const home = "http://site.example"

func TestConnectionsNeedASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t)
		for _, cookie := range []string{"", "session=", "session=guessed"} {
			_, err := dial(t, ln, cookie, home)
			if refused := check.As[*client.HandshakeError](t, err, "with %q", cookie); refused != nil {
				check.Equal(t, refused.Response.Status, http.StatusUnauthorized, "status")
			}
		}
		check.Equal(t, post(t, ln, "/sign-in", "", url.Values{"name": {"ada"}, "password": {"wrong"}}).StatusCode, http.StatusUnauthorized, "status")
	})
}

func TestSigningOutClosesTheConnectionsOfTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t)
		ada, bob := signIn(t, ln, "ada"), signIn(t, ln, "bob")
		connect := func(cookie string) *client.Conn {
			c, err := dial(t, ln, cookie, home)
			check.Must(t, err)
			return c
		}
		first, second, other := connect(ada), connect(ada), connect(bob)
		expect(t, first, "Hello, ada.")
		expect(t, second, "Hello, ada.")
		expect(t, other, "Hello, bob.")
		post(t, ln, "/sign-out", ada, nil)
		for _, c := range []*client.Conn{first, second} {
			var closed *client.CloseError
			if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != signedOut {
				t.Errorf("%v, want a Close with %v", err, signedOut)
			}
		}
		check.Must(t, other.SendText("still here"))
		expect(t, other, "still here")
		if _, err := dial(t, ln, ada, home); err == nil {
			t.Error("the session has ended, and its cookie connects")
		}
	})
}

// Cookies alone are not enough: a page of another site sends them, too.
func TestPageOfAnotherSiteIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t)
		_, err := dial(t, ln, signIn(t, ln, "ada"), "http://evil.example")
		if refused := check.As[*client.HandshakeError](t, err, "dial"); refused != nil {
			check.Equal(t, refused.Response.Status, http.StatusForbidden, "status")
		}
	})
}

// start serves a site in memory. The password is "secret".
func start(t *testing.T) *wstest.Listener {
	s := newSite("secret")
	web := &http.Server{Handler: s.routes()}
	t.Cleanup(func() { check.OK(t, s.server.Shutdown(context.Background())) })
	return wstest.Serve(t, web)
}

func dial(t *testing.T, ln *wstest.Listener, cookie, origin string) (*client.Conn, error) {
	c, err := client.Dial(t.Context(), home+"/echo", &client.Config{
		DialContext: client.DialFunc(ln.DialContext),
		Header:      map[string][]string{"Cookie": {cookie}, "Origin": {origin}},
	})
	if err == nil {
		t.Cleanup(func() { c.CloseNow() })
	}
	return c, err
}

// post sends a form.
func post(t *testing.T, ln *wstest.Listener, path, cookie string, form url.Values) *http.Response {
	t.Helper()
	web := &http.Client{Transport: &http.Transport{DialContext: ln.DialContext, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", home+path, strings.NewReader(form.Encode()))
	check.Must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", cookie)
	response, err := web.Do(r)
	check.Must(t, err)
	check.OK(t, response.Body.Close())
	return response
}

// signIn returns the cookie of a new session.
func signIn(t *testing.T, ln *wstest.Listener, name string) string {
	t.Helper()
	response := post(t, ln, "/sign-in", "", url.Values{"name": {name}, "password": {"secret"}})
	for _, cookie := range response.Cookies() {
		if cookie.Name == "session" && cookie.HttpOnly {
			return cookie.Name + "=" + cookie.Value
		}
	}
	t.Fatalf("no cookie, status %d", response.StatusCode)
	return ""
}

func expect(t *testing.T, c *client.Conn, want string) {
	t.Helper()
	m, err := c.Receive(t.Context())
	check.Must(t, err)
	check.Equal(t, m.Text(), want, "message")
}
