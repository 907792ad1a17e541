package client

import (
	"context"

	"github.com/fibersock/fibersock/handshake"
)

// Cookies stores the cookies of servers; see NewCookies and Config.Cookies.
type Cookies interface {
	add(ctx context.Context, d *dialer) error   // to the request
	store(ctx context.Context, d *dialer) error // those of the response
}

// CookieJar stores cookies by the rules of RFC 6265. Dials with one Config may
// call its methods at the same time.
type CookieJar interface {
	// AddCookies adds the cookies for u to the field Cookie of header, the
	// fields of a request, whose names may be in any case. A request must have
	// one such field at most.
	AddCookies(u *handshake.URL, header map[string][]string)

	// SetCookies stores the cookies in the Set-Cookie fields of a response of u.
	SetCookies(u *handshake.URL, response *handshake.Response)
}

// NewCookies returns Cookies in jar. Use package client/cookies for a CookieJar
// of net/http. The methods of jar are called on other goroutines than Dial,
// which returns when its context ends.
func NewCookies(jar CookieJar) Cookies { return cookies{jar} }

// cookies is the Cookies of NewCookies.
type cookies struct{ jar CookieJar }

func (c cookies) add(ctx context.Context, d *dialer) error {
	err := call(ctx, func() error {
		c.jar.AddCookies(d.url, d.offer.Header)
		return nil
	})
	if err != nil {
		return dialError(ctx, d.url, err)
	}
	return nil
}

func (c cookies) store(ctx context.Context, d *dialer) error {
	return call(ctx, func() error {
		c.jar.SetCookies(d.url, d.response)
		return nil
	})
}
