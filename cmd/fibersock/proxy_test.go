package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// startProxy runs a proxy for HTTP CONNECT and SOCKS5 that connects each tunnel
// to addr. targets has the addresses that were asked for.
func startProxy(t *testing.T, addr string) (proxy string, targets chan string) {
	targets = make(chan string, 10)
	return startPeer(t, func(nc net.Conn, r *bufio.Reader) {
		first, err := r.Peek(1)
		if err != nil {
			return
		}
		if first[0] == 5 {
			socksTunnel(nc, r, targets)
		} else {
			request, err := http.ReadRequest(r)
			if err != nil || request.Method != http.MethodConnect {
				return
			}
			targets <- "CONNECT " + request.Host + " " + request.Header.Get("Proxy-Authorization")
			io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
		}
		upstream, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer upstream.Close()
		var copies sync.WaitGroup
		copies.Go(func() { io.Copy(upstream, r); upstream.(*net.TCPConn).CloseWrite() })
		copies.Go(func() { io.Copy(nc, upstream); nc.(*net.TCPConn).CloseWrite() })
		copies.Wait()
	}), targets
}

// socksTunnel answers a client of SOCKS5 without authentication that names a
// host (RFC 1928).
func socksTunnel(nc net.Conn, r *bufio.Reader, targets chan string) {
	greeting := make([]byte, 2)
	io.ReadFull(r, greeting)
	io.CopyN(io.Discard, r, int64(greeting[1]))
	nc.Write([]byte{5, 0})
	request := make([]byte, 5)
	io.ReadFull(r, request)
	host := make([]byte, int(request[4])+2)
	io.ReadFull(r, host)
	targets <- "SOCKS " + string(host[:len(host)-2])
	nc.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
}

func TestProxies(t *testing.T) {
	url := startServer(t, echoServer())
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/")
	proxy, targets := startProxy(t, addr)
	for _, c := range []struct{ args, http, all, no, want string }{
		{"-proxy http://" + proxy + " ws://app.example/", "", "", "", "CONNECT app.example:80 "},
		{"-proxy http://joe:secret@" + proxy + " ws://app.example/", "", "", "", "CONNECT app.example:80 Basic am9lOnNlY3JldA=="},
		{"-proxy socks5://" + proxy + " ws://app.example/", "", "", "", "SOCKS app.example"},
		{"ws://app.example/", "http://" + proxy, "", "", "CONNECT app.example:80 "},
		{"ws://app.example/", "", "socks5://" + proxy, "", "SOCKS app.example"},
		{"-proxy socks5://" + proxy + " ws://app.example/", "http://localhost:1", "", "*", "SOCKS app.example"},
		{url, "http://localhost:1", "", "", ""},
		{"-proxy none " + url, "http://" + proxy, "", "", ""},
		{"-reconnect -proxy socks5://" + proxy + " ws://app.example/", "", "", "", "SOCKS app.example"},
	} {
		t.Setenv("HTTP_PROXY", c.http)
		t.Setenv("ALL_PROXY", c.all)
		t.Setenv("NO_PROXY", c.no)
		r := runWith(t, strings.NewReader("hello\n"), append(strings.Fields(c.args), "-expect", "1")...)
		got := ""
		if len(targets) > 0 {
			got = <-targets
		}
		if r.code != exitOK || r.out != "hello\n" || got != c.want {
			t.Errorf("%s, HTTP_PROXY=%s ALL_PROXY=%s: %+v, the proxy saw %q, want %q", c.args, c.http, c.all, r, got, c.want)
		}
	}
}

func TestRedirects(t *testing.T) {
	url := startServer(t, echoServer())
	fields := make(chan string, 100)
	addr := startPeer(t, func(nc net.Conn, r *bufio.Reader) {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		fields <- request.Header.Get("Authorization")
		target := url
		if request.URL.Path == "/loop" {
			target = "/loop"
		}
		io.WriteString(nc, "HTTP/1.1 302 Found\r\nLocation: "+target+"\r\nContent-Length: 0\r\n\r\n")
	})
	r := runWith(t, strings.NewReader("hello\n"), "connect", "-follow", "-expect", "1", "-H", "Authorization: x", "ws://"+addr)
	if r.code != exitOK || r.out != "hello\n" || <-fields != "x" {
		t.Errorf("-follow: %+v", r)
	}
	r = runWith(t, strings.NewReader(""), "connect", "-json", "ws://"+addr)
	if list := events(t, r.out); r.code != exitRefused || len(list) != 1 || list[0]["status"] != 302.0 {
		t.Errorf("%+v", r)
	}
	r = runWith(t, strings.NewReader(""), "connect", "-follow", "ws://"+addr+"/loop")
	if r.code != exitRefused || !strings.Contains(r.err, "10") {
		t.Errorf("a loop: %+v", r)
	}
	check.Equal(t, len(fields), 12, "requests: 1 of the second connect and 11 of the third")
}
