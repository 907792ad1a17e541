package conform_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wstest/conform"
)

// A server of any implementation, behind net/http here, is judged at its URL.
func ExampleTestServer() {
	test := func(t *testing.T) {
		echo := httpupgrade.Handler(echoServer())
		ts := httptest.NewServer(echo)
		defer ts.Close()
		url := "ws" + strings.TrimPrefix(ts.URL, "http")
		conform.TestServer(t, url, conform.Options{
			Except: []string{"9.*"}, // without large messages
			Rounds: 10,
		})
	}
	_ = test
}

// A client is judged by a function that connects to a URL and sends every
// message back.
func ExampleTestClient() {
	test := func(t *testing.T) {
		conform.TestClient(t, echoClient, conform.Options{Only: []string{"6.*", "7.*"}})
	}
	_ = test
}
