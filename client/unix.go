package client

import (
	"context"
	"net"
)

// UnixDialer returns a Config.DialContext that connects to the Unix socket at
// path. The host of the URL is then in the Host field only:
//
//	client.Dial(ctx, "ws://localhost/chat", &client.Config{DialContext: client.UnixDialer("/run/chat.sock")})
//
// On Linux a path that begins with "@" is an abstract socket.
func UnixDialer(path string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}
