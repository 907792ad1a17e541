package peer

import (
	"context"

	"github.com/fibersock/fibersock/wstest/conform"
)

// driving returns a Drive. echo connects to a URL and sends every message back
// until the connection ends. ask connects to a URL and returns the first message.
func driving(echo func(ctx context.Context, url string), ask func(ctx context.Context, url string) (string, error)) func(context.Context, string, string, int) error {
	return func(ctx context.Context, server, agent string, parallel int) error {
		d := conform.Driver{
			URL: server, Agent: agent, Parallel: parallel, Ask: ask,
			Echo: func(ctx context.Context, url string) error {
				echo(ctx, url)
				return context.Cause(ctx)
			},
		}
		return d.Run(ctx)
	}
}
