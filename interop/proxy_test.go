package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A proxy starts a reverse proxy, with or without TLS, for the plain server at
// backend, a host and port, with an idle timeout in seconds. dial connects to
// the proxy; nil is the default dialer.
type proxy func(t *testing.T, backend string, secure bool, idle int) (url string, dial dialFunc)

// proxies are the proxies by name that the tests of attacks use. Caddy answers
// some of the attacks itself, and loses bytes that follow a request at once.
var proxies = map[string]proxy{"nginx": startNginx, "haproxy": startHAProxy}

// usualIdle is the default idle timeout of the proxies, in seconds.
const usualIdle = 60

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func TestThroughNginx(t *testing.T) {
	through(t, "nginx", startNginx)
}

// docs/howto.md shows lines of the configurations, in their order.
func TestPageShowsTheConfigurations(t *testing.T) {
	text, err := os.ReadFile("../docs/howto.md")
	check.Must(t, err)
	for language, config := range map[string]string{
		"nginx":   fmt.Sprintf(nginxConf, "socket", "", "cert", "key", "127.0.0.1:8080", usualIdle),
		"haproxy": fmt.Sprintf(haproxyConf, "", "127.0.0.1:8080", usualIdle),
		"caddy":   fmt.Sprintf(caddyConf, "http://localhost", "socket", "", "127.0.0.1:8080"),
	} {
		_, block, found := strings.Cut(string(text), "```"+language+"\n")
		block, _, _ = strings.Cut(block, "```")
		if !found || strings.Count(block, "\n") < 3 {
			t.Errorf("docs/howto.md has no configuration of %s", language)
		}
		rest := config
		for line := range strings.Lines(block) {
			_, after, found := strings.Cut(rest, strings.TrimSpace(line)+"\n")
			if !found {
				t.Errorf("docs/howto.md has a line that is not in the configuration of %s, or not in this order:\n%s", language, line)
				break
			}
			rest = after
		}
	}
}

func TestThroughHAProxy(t *testing.T) {
	through(t, "haproxy", startHAProxy)
}

func TestThroughCaddy(t *testing.T) {
	through(t, "caddy", startCaddy)
}

// through runs the scenarios between our client and each of our servers with the proxy between them. It is the proxy that talks TLS.
func through(t *testing.T, name string, start proxy) {
	for _, server := range ourServers {
		runAll(t, pairing{
			name: name + " before " + server.name,
			connect: func(t *testing.T, o options) (endpoint, endpoint) {
				behind := o
				behind.secure = false
				backend, accept := server.listen(t, behind)
				url, dial := start(t, strings.TrimSuffix(strings.TrimPrefix(backend, "ws://"), "/"), o.secure, usualIdle)
				return ourClient(dial).dial(t, url, o), accept()
			},
		})
	}
}

// The WebSocket configuration of nginx's manual, and a location that is not
// public. nginx listens on a unix socket, because it does not report a free
// port.
const nginxConf = `
daemon off;
error_log stderr notice;
pid nginx.pid;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	map $http_upgrade $connection_upgrade {
		default upgrade;
		''      close;
	}
	server {
		listen unix:%[1]s %[2]s;
		ssl_certificate     %[3]s;
		ssl_certificate_key %[4]s;
		location /private {
			return 403;
		}
		location / {
			proxy_read_timeout %[6]ds;
			proxy_pass http://%[5]s;
			proxy_http_version 1.1;
			proxy_set_header Host $host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
		}
	}
}
`

// startNginx starts an nginx with an idle timeout in seconds.
func startNginx(t *testing.T, backend string, secure bool, idle int) (string, dialFunc) {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	cert, key := testCertificate().files(t)
	scheme, ssl := "ws", ""
	if secure {
		scheme, ssl = "wss", "ssl"
	}
	conf := writeFile(t, dir, "nginx.conf", fmt.Sprintf(nginxConf, socket, ssl, cert, key, backend, idle))
	nginx := start(t, exec.Command(find(t, "nginx", "nginx"), "-p", dir, "-e", "stderr", "-c", conf))
	nginx.errors.await(t, "start worker process ")
	return scheme + "://localhost/", func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
}

const haproxyConf = `
defaults
	mode http
	timeout connect 10s
	timeout client 30s
	timeout server 30s
	timeout tunnel %[3]ds
frontend in
	bind fd@3 %[1]s
	http-request deny if { path_beg /private }
	default_backend out
backend out
	server ours %[2]s
`

// startHAProxy starts a haproxy with an idle timeout in seconds. It inherits
// its socket: connections queue there until it is ready.
func startHAProxy(t *testing.T, backend string, secure bool, idle int) (string, dialFunc) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	defer listener.Close() // haproxy has a duplicate
	file, err := listener.(*net.TCPListener).File()
	check.Must(t, err)
	defer file.Close()

	dir := t.TempDir()
	scheme, ssl := "ws", ""
	if secure {
		var both []byte
		cert, key := testCertificate().files(t)
		for _, file := range []string{cert, key} {
			text, err := os.ReadFile(file)
			check.Must(t, err)
			both = append(both, text...)
		}
		scheme, ssl = "wss", "ssl crt "+writeFile(t, dir, "both.pem", string(both))
	}
	conf := writeFile(t, dir, "haproxy.cfg", fmt.Sprintf(haproxyConf, ssl, backend, idle))
	cmd := exec.Command(find(t, "haproxy", "haproxy"), "-db", "-f", conf)
	cmd.ExtraFiles = []*os.File{file}
	start(t, cmd)
	return scheme + "://" + listener.Addr().String() + "/", nil
}

// Without certificates of its own, and without an interface for commands.
const caddyConf = `
{
	admin off
	auto_https off
}
%[1]s {
	bind unix/%[2]s
	%[3]s
	respond /private* 403
	reverse_proxy %[4]s
}
`

// startCaddy starts a caddy, on a unix socket like nginx. It has no idle
// timeout.
func startCaddy(t *testing.T, backend string, secure bool, _ int) (string, dialFunc) {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	scheme, site, tls := "ws", "http://", ""
	if secure {
		cert, key := testCertificate().files(t)
		scheme, site, tls = "wss", "https://localhost", fmt.Sprintf("tls %s %s", cert, key)
	}
	conf := writeFile(t, dir, "Caddyfile", fmt.Sprintf(caddyConf, site, socket, tls, backend))
	cmd := exec.Command(find(t, "caddy", "caddy"), "run", "--config", conf, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	start(t, cmd).errors.await(t, "serving initial configuration")
	return scheme + "://localhost/", func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
}
