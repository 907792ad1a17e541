package client

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// Redirects follows redirects of servers; see FollowRedirects and
// Config.Redirects. Any number of Dials may use it at the same time.
type Redirects interface {
	// follow sets d for another attempt after err.
	follow(ctx context.Context, d *dialer, err error) error
}

// redirects is the Redirects of CheckRedirects.
type redirects struct {
	max   int
	check func(r *Redirect) error // nil for none
}

// Redirect is a redirect that is about to be followed; see CheckRedirects.
type Redirect struct {
	Count    int                 // redirects of this Dial, this one included
	From, To *handshake.URL      // the URL of the request, and the next one
	Response *handshake.Response // the redirect

	// Header has the fields of the next request, as in Config.Header. It is a
	// copy that may be changed.
	Header map[string][]string
}

// FollowRedirects returns Redirects with a limit: Dial follows at most max
// redirects (301, 302, 303, 307 and 308), within Config.HandshakeTimeout. One
// more is a *RedirectError, and so is a redirect from wss to ws, one to an
// invalid URL, and one with a user.
//
// Credentials do not follow a redirect to another origin, which is another
// scheme, host or port: Dial drops all fields of Config.Header but User-Agent,
// Origin and Accept-Language, the user of the URL, Config.Host, and from
// Config.TLS the certificates and ServerName. They stay dropped if a later
// redirect leads back. Config.Subprotocols are kept: do not follow redirects
// with a token among them. Config.Cookies adds the cookies for the next URL.
// Config.Proxy is asked again.
//
// A redirect can lead to any host, also to one of a private network. Use
// CheckRedirects to restrict the hosts.
func FollowRedirects(max int) Redirects { return CheckRedirects(max, nil) }

// CheckRedirects is FollowRedirects with a function that is called before each
// redirect is followed, on a goroutine of its own. An error of it ends Dial, in
// a *RedirectError.
func CheckRedirects(max int, check func(r *Redirect) error) Redirects {
	return &redirects{max, check}
}

func (rs *redirects) follow(ctx context.Context, d *dialer, err error) error {
	refused, ok := err.(*HandshakeError)
	if !ok || refused.Response == nil || !isRedirect(refused.Response) {
		return err
	}
	next, to, err := rs.next(ctx, d, refused.Response)
	if err == nil {
		*d = *next
		return nil
	}
	failed := &RedirectError{From: withoutQuery(d.url), Response: refused.Response, Err: err}
	if to != nil {
		failed.To = withoutQuery(to)
	}
	if ctx.Err() != nil {
		return dialError(ctx, d.url, failed)
	}
	return failed
}

// isRedirect reports whether r has a Location to follow with the same method.
func isRedirect(r *handshake.Response) bool {
	switch r.Status {
	case 301, 302, 303, 307, 308:
		return r.Header.Count("Location") > 0
	}
	return false
}

// next returns the attempt that follows the redirect r of d. to is its URL,
// also with an error; nil if there is no valid one.
func (rs *redirects) next(ctx context.Context, d *dialer, r *handshake.Response) (next *dialer, to *handshake.URL, err error) {
	if n := r.Header.Count("Location"); n > 1 {
		return nil, nil, errors.New(strconv.Itoa(n) + " Location fields, want one")
	}
	if to, err = d.url.Resolve(r.Header.Get("Location")); err != nil {
		return nil, nil, err
	}
	switch {
	case d.redirects >= rs.max:
		return nil, to, &RedirectLimitError{Max: rs.max}
	case d.url.Secure && !to.Secure:
		return nil, to, errors.New("a redirect from wss to ws is not followed")
	}
	cfg := *d.cfg
	if d.url.SameOrigin(to) {
		to.User = d.url.User
		cfg.Header = copyFields(cfg.Header)
	} else {
		cfg.Header = copyFields(cfg.Header, "User-Agent", "Origin", "Accept-Language")
		cfg.Host = ""
		cfg.TLS = withoutIdentity(cfg.TLS)
	}
	if rs.check != nil {
		r := &Redirect{Count: d.redirects + 1, From: d.url, To: to, Response: r, Header: cfg.Header}
		if err := call(ctx, func() error { return rs.check(r) }); err != nil {
			return nil, to, err
		}
		cfg.Header = r.Header
	}
	return &dialer{url: to, cfg: &cfg, redirects: d.redirects + 1}, to, nil
}

// copyFields returns a copy of the fields of header that have one of the names,
// or of all fields if there are no names.
func copyFields(header map[string][]string, names ...string) map[string][]string {
	fields := make(map[string][]string, len(header))
	for n, values := range header {
		keep := len(names) == 0
		for _, name := range names {
			keep = keep || isNamed(n, name)
		}
		if keep {
			fields[n] = append([]string(nil), values...)
		}
	}
	return fields
}

// withoutQuery returns u for an error: a query may contain secrets.
func withoutQuery(u *handshake.URL) string {
	s, _, _ := strings.Cut(u.String(), "?")
	return s
}

// RedirectError reports a redirect that Dial does not follow.
type RedirectError struct {
	From     string              // the URL of the request, without user and query
	To       string              // the next URL, without query; "" if it is not valid
	Response *handshake.Response // the redirect
	Err      error               // the reason: for example a *RedirectLimitError
}

// Error returns a text with both URLs and the reason.
func (e *RedirectError) Error() string {
	text := "websocket: " + statusText(e.Response) + " redirects " + e.From
	if e.To != "" {
		text += " to " + e.To
	}
	return text + ": " + plain(withoutPrefix(e.Err))
}

// Unwrap returns the reason.
func (e *RedirectError) Unwrap() error { return e.Err }

// RedirectLimitError reports more redirects than FollowRedirects allows.
type RedirectLimitError struct {
	Max int // of FollowRedirects or CheckRedirects
}

// Error returns a text with the limit.
func (e *RedirectLimitError) Error() string {
	return "number of redirects exceeds FollowRedirects (" + strconv.Itoa(e.Max) + ")"
}
