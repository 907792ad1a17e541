package conform_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest/conform"
)

// A server of any implementation, behind net/http here, is judged at its URL.
func ExampleTestServer() {
	echo := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
	}}
	test := func(t *testing.T) { // in place of func TestConformance
		hs := httptest.NewServer(httpupgrade.Handler(echo))
		defer hs.Close()
		url := "ws" + strings.TrimPrefix(hs.URL, "http")
		conform.TestServer(t, url, conform.Options{
			Except: []string{"9.*", "12.*", "13.*"}, // neither large nor compressed messages
		})
	}
	_ = test
}

// A client is judged by a function that connects to a URL and sends every
// message back.
func ExampleTestClient() {
	echo := func(ctx context.Context, url string) error {
		c, err := client.Dial(ctx, url, nil)
		if err != nil {
			return err
		}
		defer c.CloseNow()
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return nil // the connection ended
			}
			c.Send(m.Opcode, m.Payload)
		}
		return nil
	}
	test := func(t *testing.T) { // in place of func TestConformance
		conform.TestClient(t, echo, conform.Options{Only: []string{"6.*", "7.*"}})
	}
	_ = test
}
