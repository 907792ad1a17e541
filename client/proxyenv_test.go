package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// proxyVariables are all environment variables that select a proxy.
var proxyVariables = []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"}

// setProxyVariables sets the variables of list, "NAME=value", and unsets the
// others.
func setProxyVariables(t *testing.T, list ...string) {
	t.Helper()
	for _, name := range proxyVariables {
		t.Setenv(name, "")
	}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// dialedAddress returns the address that a Dial of url with ProxyFromEnvironment
// connects to, and its error, nil if it connects.
func dialedAddress(t *testing.T, url string) (address string, err error) {
	t.Helper()
	refuse := errors.New("not to be dialed")
	_, err = client.Dial(t.Context(), url, &client.Config{
		Proxy: client.ProxyFromEnvironment(),
		DialContext: client.DialFunc(func(_ context.Context, _, addr string) (net.Conn, error) {
			address = addr
			return nil, refuse
		}),
	})
	if errors.Is(err, refuse) {
		err = nil
	}
	return address, err
}

// The variable depends on the scheme, and upper case wins.
func TestProxyFromEnvironment(t *testing.T) {
	const ws, wss = "ws://server.example/", "wss://server.example/"
	for name, tt := range map[string]struct {
		set  []string
		url  string
		want string // the address; "" for the server's
		err  string // in the error; "" for none
	}{
		"nothing":                       {nil, ws, "", ""},
		"HTTP_PROXY for ws":             {[]string{"HTTP_PROXY=http://a", "HTTPS_PROXY=http://b"}, ws, "a:80", ""},
		"HTTPS_PROXY for wss":           {[]string{"HTTP_PROXY=http://a", "HTTPS_PROXY=http://b"}, wss, "b:80", ""},
		"HTTP_PROXY alone":              {[]string{"HTTP_PROXY=http://a"}, wss, "", ""},
		"lower case":                    {[]string{"http_proxy=a:1"}, ws, "a:1", ""},
		"upper case wins":               {[]string{"http_proxy=a:1", "HTTP_PROXY=b:2"}, ws, "b:2", ""},
		"ALL_PROXY for ws":              {[]string{"ALL_PROXY=socks5://a"}, ws, "a:1080", ""},
		"all_proxy for wss":             {[]string{"all_proxy=socks5h://u:p@a:1"}, wss, "a:1", ""},
		"another wins over ALL_PROXY":   {[]string{"ALL_PROXY=a", "https_proxy=https://b/"}, wss, "b:443", ""},
		"NO_PROXY":                      {[]string{"HTTP_PROXY=a", "NO_PROXY=server.example"}, ws, "", ""},
		"no_proxy":                      {[]string{"HTTP_PROXY=a", "no_proxy=server.example"}, ws, "", ""},
		"NO_PROXY wins over no_proxy":   {[]string{"HTTP_PROXY=a", "no_proxy=server.example", "NO_PROXY=x"}, ws, "a:80", ""},
		"NO_PROXY for ALL_PROXY":        {[]string{"ALL_PROXY=a", "NO_PROXY=*"}, wss, "", ""},
		"no URL":                        {[]string{"HTTP_PROXY=ftp://a"}, ws, "", `environment variable HTTP_PROXY: URL "ftp://a"`},
		"no URL, with a secret":         {[]string{"https_proxy=ftp://u:SECRET@a"}, wss, "", `environment variable https_proxy: URL "ftp://***@a"`},
		"no URL, and NO_PROXY":          {[]string{"HTTP_PROXY=ftp://a", "NO_PROXY=server.example"}, ws, "", ""},
		"HTTP_PROXY in CGI":             {[]string{"HTTP_PROXY=a", "REQUEST_METHOD=GET"}, ws, "", "environment variable HTTP_PROXY: not used in a CGI program"},
		"HTTP_PROXY in CGI, not needed": {[]string{"HTTP_PROXY=a", "REQUEST_METHOD=GET", "NO_PROXY=server.example"}, ws, "", ""},
		"ALL_PROXY in CGI":              {[]string{"ALL_PROXY=a", "REQUEST_METHOD=GET"}, ws, "a:80", ""},
		"HTTPS_PROXY in CGI":            {[]string{"HTTPS_PROXY=a", "REQUEST_METHOD=GET"}, wss, "a:80", ""},
		"localhost":                     {[]string{"HTTP_PROXY=a"}, "ws://localhost:80/", "localhost:80", ""},
		"loopback, IPv4":                {[]string{"HTTP_PROXY=a"}, "ws://127.8.9.1/", "127.8.9.1:80", ""},
		"loopback, IPv6":                {[]string{"ALL_PROXY=a"}, "ws://[::1]/", "[::1]:80", ""},
	} {
		t.Run(name, func(t *testing.T) {
			setProxyVariables(t, tt.set...)
			got, err := dialedAddress(t, tt.url)
			switch {
			case tt.err != "":
				failed := check.As[*client.ProxyError](t, err, "Dial")
				if failed != nil && !strings.Contains(err.Error(), tt.err) || got != "" || strings.Contains(err.Error(), "SECRET") {
					t.Errorf("dialed %q: %v", got, err)
				}
				return
			case tt.want == "" && tt.url == ws:
				tt.want = "server.example:80"
			case tt.want == "":
				tt.want = "server.example:443"
			}
			if got != tt.want || err != nil {
				t.Errorf("dialed %q, want %q: %v", got, tt.want, err)
			}
		})
	}
}

// noProxyLists are values of NO_PROXY, valid or not.
var noProxyLists = []string{
	"", "*", " * ", "x,*", "example.com", "EXAMPLE.com", " example.com , other.example", ".example.com", "*.example.com", "*example.com",
	"example.com:8080", ".example.com:8080", "*.example.com:80", "example.com:80", "com", ".com", "example.com.", ".", "*.", "..", ",,,", ":80", ":8080", "*:80",
	"192.0.2.1", "192.0.2.1:8080", "192.0.2.0/24", "192.0.2.0/24:80", "192.0.0.0/8,x", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:8080", "2001:db8::/32", "::ffff:192.0.2.1", "::/0", "0.0.0.0/0",
	"fe80::1", "fe80::/10", "192.0.2", "192.0.2.1/33", "192.0.2.01", "1", "localhost", "a.example.com", "ample.com", "www.example.com:http",
}

var noProxyURLs = []string{
	"http://example.com/", "http://example.com:8080/", "http://www.example.com/", "http://www.example.com:8080/", "http://a.b.example.com/", "http://example.com./", "http://notexample.com/", "http://com/",
	"https://example.com/", "https://www.example.com:80/", "http://192.0.2.1/", "http://192.0.2.1:8080/", "http://192.0.3.1/", "http://[2001:db8::1]/", "http://[2001:db8::1]:8080/", "http://[2001:db8::2]/",
	"http://[::ffff:192.0.2.1]/", "http://[fe80::1%25eth0]/", "http://localhost/", "http://localhost.example.com/", "http://127.0.0.1/", "http://127.1.2.3:99/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
}

// printNetHTTP makes this test print the results of http.ProxyFromEnvironment,
// which reads the environment once for each process.
const printNetHTTP = "FIBERSOCK_TEST_PRINT_NETHTTP"

// The same servers are connected directly as by net/http, which runs in another
// process with the same environment.
func TestNoProxyIsThatOfNetHTTP(t *testing.T) {
	if os.Getenv(printNetHTTP) != "" {
		for _, url := range noProxyURLs {
			request, err := http.NewRequest("GET", url, nil)
			check.Must(t, err)
			proxy, err := http.ProxyFromEnvironment(request)
			check.Must(t, err)
			fmt.Println("direct", url, proxy == nil)
		}
		return
	}
	for _, list := range noProxyLists {
		setProxyVariables(t, "HTTP_PROXY=http://proxy.example:3128", "HTTPS_PROXY=http://proxy.example:3128", "NO_PROXY="+list)
		t.Setenv(printNetHTTP, "1")
		out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$").Output()
		check.Mustf(t, err, "%q: %s", list, out)
		compared := 0
		for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
			var url string
			var direct bool
			if _, err := fmt.Sscanf(lines.Text(), "direct %s %t", &url, &direct); err != nil {
				continue
			}
			compared++
			address, err := dialedAddress(t, url)
			if err != nil && !strings.Contains(err.Error(), "zone") { // a proxy cannot use a zone
				t.Errorf("%q: %s: %v", list, url, err)
			}
			if ours := err == nil && address != "proxy.example:3128"; ours != direct {
				t.Errorf("NO_PROXY=%q: %s is connected directly: %t, by net/http: %t", list, url, ours, direct)
			}
		}
		check.Equal(t, compared, len(noProxyURLs), "URLs for %q", list)
	}
}

// FuzzNoProxy: any list is accepted, and an entry that is the host itself, or
// "*", matches.
func FuzzNoProxy(f *testing.F) {
	for _, list := range noProxyLists {
		f.Add(list, "example.com")
	}
	f.Fuzz(func(t *testing.T, list, host string) {
		u, err := handshake.ParseURL("ws://" + host)
		if err != nil || u.Host != host || strings.Contains(host, ",") || strings.Contains(list, "\x00") {
			return
		}
		setProxyVariables(t, "HTTP_PROXY=proxy.example", "NO_PROXY="+list)
		before, err := dialedAddress(t, "ws://"+host)
		check.OK(t, err)
		if before != "proxy.example:80" && before != u.Address() {
			t.Errorf("dialed %q", before)
		}
		for _, entry := range []string{host, "*"} {
			t.Setenv("NO_PROXY", list+","+entry)
			after, err := dialedAddress(t, "ws://"+host)
			check.OK(t, err)
			check.Equal(t, after, u.Address(), "dialed with the entry %q", entry)
		}
	})
}

// ProxyFunc chooses for each server, with the context of Dial.
func TestProxyFunc(t *testing.T) {
	type key struct{}
	refuse := errors.New("not to be dialed")
	release := make(chan struct{})
	defer close(release)
	var dialed string
	cfg := &client.Config{
		Proxy: client.ProxyFunc(func(ctx context.Context, u *handshake.URL) (string, error) {
			check.Equal(t, ctx.Value(key{}), any("ours"), "context")
			switch u.Host {
			case "direct.example":
				return "", nil
			case "refused.example":
				return "", io.ErrNoProgress
			case "panic.example":
				panic("on purpose")
			case "hang.example":
				<-release
			}
			return "socks5://" + u.Host + ":1", nil
		}),
		DialContext: client.DialFunc(func(_ context.Context, _, addr string) (net.Conn, error) {
			dialed = addr
			return nil, refuse
		}),
	}
	dial := func(url string) error {
		dialed = ""
		ctx := context.WithValue(t.Context(), key{}, any("ours"))
		_, err := client.Dial(ctx, url, cfg)
		return err
	}
	check.Is(t, dial("ws://direct.example"), refuse, "direct")
	check.Equal(t, dialed, "direct.example:80", "dialed")
	check.Is(t, dial("ws://h.example"), refuse, "through a proxy")
	check.Equal(t, dialed, "h.example:1", "dialed")
	err := dial("ws://refused.example")
	check.Is(t, err, io.ErrNoProgress, "refused")
	check.As[*client.ProxyError](t, err, "refused")
	check.As[*client.PanicError](t, dial("ws://panic.example"), "panic")
	check.Equal(t, dialed, "", "dialed")
	cfg.HandshakeTimeout = 50 * time.Millisecond
	late := check.As[*client.TimeoutError](t, dial("ws://hang.example"), "a function that hangs")
	check.Equal(t, late.Option, "HandshakeTimeout", "option")
}

// The address of netip is that of the URL of a proxy with an IPv6 address.
func TestProxyAtIPv6Address(t *testing.T) {
	setProxyVariables(t, "ALL_PROXY=[2001:db8::2]:3128")
	got, err := dialedAddress(t, "ws://server.example")
	check.Must(t, err)
	check.Equal(t, got, netip.MustParseAddrPort("[2001:db8::2]:3128").String(), "dialed")
}
