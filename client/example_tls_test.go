//go:build !notls

package client_test

import (
	"context"
	"crypto/tls"
	"log"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// The client proves its identity by a certificate.
func ExampleConfig_clientCertificate() {
	mine, err := tls.LoadX509KeyPair("client.pem", "client-key.pem")
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Dial(context.Background(), "wss://example.com/chat", &client.Config{
		TLS: &tls.Config{Certificates: []tls.Certificate{mine}},
	})
	if err != nil {
		log.Fatal(err)
	}
	c.Close(wire.NormalClosure, "")
}
