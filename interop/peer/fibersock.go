package peer

import (
	"context"
	"errors"
	"net"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

var fibersock = Peer{
	Name:    "fibersock",
	Title:   "fibersock",
	Package: "github.com/fibersock/fibersock",
	Serve:   serving(serveFibersock),
	Drive:   driving(echoToFibersockURL, receiveFibersock),
}

func serveFibersock(ln net.Listener) error {
	s := &server.Server{
		Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
		Limits:  server.Limits{Message: MaxMessage},
		Log:     func(error) {},

		Compression: new(permessage.Deflate),
	}
	err := s.Serve(ln)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Join(err, s.Shutdown(now))
}

func dialFibersock(ctx context.Context, url string) (*client.Conn, error) {
	return client.Dial(ctx, url, &client.Config{Limits: client.Limits{Message: MaxMessage}, Compression: new(permessage.Deflate)})
}

func echoToFibersockURL(ctx context.Context, url string) {
	conn, err := dialFibersock(ctx, url)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for m, err := range conn.Messages(ctx) {
		if err != nil || conn.Send(m.Opcode, m.Payload) != nil {
			return
		}
	}
}

func receiveFibersock(ctx context.Context, url string) (string, error) {
	conn, err := dialFibersock(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.CloseNow()
	m, err := conn.Receive(ctx)
	return m.Text(), err
}
