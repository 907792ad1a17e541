package servers_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/wire"
)

func TestEchoOverTLS(t *testing.T) {
	pair, roots, err := testcert.New("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := testcert.Files(t.TempDir(), pair)
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, p peer) {
		if p.noTLS {
			refuses(t, p.name, "-cert", cert, "-key", key)
			return
		}
		s := start(t, p.name, "-cert", cert, "-key", key)
		c := dial(t, s.Listening, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
		for _, size := range []int{0, 125, 65536, 1 << 20} {
			if size == 0 && p.losesEmpty {
				continue
			}
			sent := binary(strings.Repeat("\x00", size))
			c.send(sent)
			c.wantReplies([]wire.Frame{sent}, false)
		}
	})
}
