package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/diagnose"
	"github.com/fibersock/fibersock/permessage"
)

//go:embed page
var pageFiles embed.FS

// pageHeader allows the page its own files and any WebSocket server, and
// nothing else. The last two fields isolate its origin, so the browser provides
// a clock that is precise enough for the time of an echo.
var pageHeader = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
		"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cache-Control":                "no-cache",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Cross-Origin-Resource-Policy": "same-origin",
}

const (
	maxDiagnoses     = 4 // at the same time
	diagnosisTime    = 15 * time.Second
	diagnosisTimeout = 5 * time.Second // of connecting, and of the Pings
	maxDiagnoseBody  = 8 << 10
)

// webPage is the page with its files and the requests of its scripts:
//
//	GET  /page/config    the token and the addresses of this server
//	GET  /page/qr        a text as a QR code
//	GET  /page/frames    the frames of a message, as this server has counted them
//	POST /page/diagnose  why a connection does not open
type webPage struct {
	mux      http.ServeMux
	options  *serveOptions
	frames   frameLog
	token    string
	checking chan struct{} // has an element for each running diagnosis
}

// newPage returns the page of a server with these options.
func newPage(o *serveOptions) *webPage {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic("BUG: fibersock: " + err.Error()) // the name is right above
	}
	p := &webPage{options: o, token: rand.Text(), checking: make(chan struct{}, maxDiagnoses)}
	p.mux.Handle("/", http.FileServerFS(files))
	p.mux.HandleFunc("GET /page/config", p.config)
	p.mux.HandleFunc("GET /page/qr", serveQR)
	p.mux.HandleFunc("GET /page/frames", p.frames.serve)
	p.mux.HandleFunc("POST /page/diagnose", p.diagnose)
	return p
}

func (p *webPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range pageHeader {
		w.Header().Set(name, value)
	}
	p.mux.ServeHTTP(w, r)
}

// pageConfig is the part of the server's configuration that the page needs.
type pageConfig struct {
	Token     string   `json:"token,omitempty"`     // for diagnoses; "" if there are none
	Addresses []string `json:"addresses,omitempty"` // URLs of the page for other machines
}

func (p *webPage) config(w http.ResponseWriter, r *http.Request) {
	var c pageConfig
	if p.mayDiagnose(r) == nil {
		c.Token = p.token
	}
	if host, _, _ := net.SplitHostPort(p.options.addr); !isLoopback(host) {
		c.Addresses = pageAddresses(r, p.options.secure())
	}
	sendJSON(w, c)
}

// pageAddresses returns the URLs by which other machines reach the server that
// got a request: by the address of the request, or by those of the network
// interfaces if the request is from this machine. Private IPv4 addresses are
// first.
func pageAddresses(r *http.Request, secure bool) []string {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return nil
	}
	ips := []net.IP{local.IP}
	if local.IP.IsLoopback() {
		ips = nil
		all, _ := net.InterfaceAddrs() // without addresses the page says that there are none
		for _, a := range all {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				ips = append(ips, n.IP)
			}
		}
		rank := func(ip net.IP) int {
			switch {
			case ip.To4() == nil:
				return 2
			case !ip.IsPrivate():
				return 1
			}
			return 0
		}
		slices.SortStableFunc(ips, func(a, b net.IP) int { return rank(a) - rank(b) })
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	urls := make([]string, len(ips))
	for i, ip := range ips {
		urls[i] = scheme + "://" + net.JoinHostPort(ip.String(), fmt.Sprint(local.Port)) + "/"
	}
	return urls
}

// isLoopback reports whether a host without a port is this machine by its
// loopback interface.
func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// mayDiagnose returns why a request may not start diagnoses. A diagnosis
// connects to any host and port for the client, so the client must be on this
// machine and on the loopback interface: such a client can connect itself. The
// Host field excludes pages of a name that resolves to this machine.
func (p *webPage) mayDiagnose(r *http.Request) error {
	listener, _, _ := net.SplitHostPort(p.options.addr)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	host := (&url.URL{Host: r.Host}).Hostname()
	switch {
	case !isLoopback(listener) || local == nil || !local.IP.IsLoopback() || !isLoopback(remote):
		return fmt.Errorf("diagnoses are for servers on the loopback interface, not on %q", p.options.addr)
	case !isLoopback(host):
		return fmt.Errorf("diagnoses are for pages of this machine, not of %q", r.Host)
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header[name]) > 0 {
			return fmt.Errorf("diagnoses are not for requests through a proxy: %s is set", name)
		}
	}
	return nil
}

// diagnoseRequest is the body of a request for a diagnosis.
type diagnoseRequest struct {
	URL          string   `json:"url"`
	Subprotocols []string `json:"subprotocols"`
}

// diagnose connects for the page, whose browser does not tell why it cannot,
// and answers with the report. Only the page itself has the token and sends
// its origin.
func (p *webPage) diagnose(w http.ResponseWriter, r *http.Request) {
	err := p.mayDiagnose(r)
	origin := r.Header.Get("Origin")
	from, parseErr := url.Parse(origin)
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case err != nil:
	case parseErr != nil || from.Host != r.Host || from.Scheme != "http" && from.Scheme != "https":
		err = fmt.Errorf("diagnoses are for this server's page, not for the origin %q", origin)
	case site != "" && site != "same-origin":
		err = fmt.Errorf("diagnoses are for this server's page, not for a request with Sec-Fetch-Site %q", site)
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Fibersock-Token")), []byte(p.token)) != 1:
		err = fmt.Errorf("the Fibersock-Token field is not the token of this server: load the page again")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	var q diagnoseRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDiagnoseBody)).Decode(&q); err != nil {
		http.Error(w, "the body is not a JSON object with url and subprotocols: "+err.Error(), http.StatusBadRequest)
		return
	}
	if scheme, _, _ := strings.Cut(q.URL, ":"); !strings.EqualFold(scheme, "ws") && !strings.EqualFold(scheme, "wss") {
		http.Error(w, fmt.Sprintf("the scheme of the URL is %.20q, not ws or wss", scheme), http.StatusBadRequest)
		return
	}
	select {
	case p.checking <- struct{}{}:
		defer func() { <-p.checking }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d diagnoses are running, which is the limit", maxDiagnoses), http.StatusTooManyRequests)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), diagnosisTime)
	defer cancel()
	sendJSON(w, diagnose.Check(ctx, q.URL, &client.Config{
		Header:           map[string][]string{"Origin": {origin}},
		Subprotocols:     q.Subprotocols,
		HandshakeTimeout: diagnosisTimeout,
		Compression:      new(permessage.Deflate), // as browsers offer it
	}))
}

// serveQR answers with the text of the request as a QR code.
func serveQR(w http.ResponseWriter, r *http.Request) {
	q, err := newQR(r.URL.Query().Get("text"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write([]byte(q.svg())) // fails only if the browser has closed the connection
}
