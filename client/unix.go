package client

import (
	"context"

	"github.com/fibersock/fibersock/internal/netloop"
)

// UnixDialer returns a ContextDialer that connects to the Unix socket at path.
// The host of the URL is then in the Host field only:
//
//	cfg := &client.Config{DialContext: client.UnixDialer("/run/chat.sock")}
//	c, err := client.Dial(ctx, "ws://localhost/chat", cfg)
//
// On Linux a path that begins with "@" is an abstract socket.
func UnixDialer(path string) ContextDialer { return unixDialer(path) }

// unixDialer is the path of a Unix socket.
type unixDialer string

func (path unixDialer) dial(ctx context.Context, _ string) (netloop.Transport, error) {
	return dialSocket(ctx, "unix", string(path))
}
