package server_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// A token among the subprotocols reaches Authorize, and neither the response nor
// Log has it: not even if Authorize or Subprotocols select it.
func TestSubprotocolToken(t *testing.T) {
	const secret = "token.SECRET"
	for name, tt := range map[string]struct {
		subprotocols []string // of the server
		offered      []string
		choose       string // by Authorize, afterwards
		want         string // the subprotocol
		status       int    // of the refusal; 0 for none
	}{
		"beside another":            {[]string{"chat"}, []string{secret, "chat"}, "", "chat", 0},
		"alone":                     {[]string{"chat"}, []string{secret}, "", "", 0},
		"selected by Subprotocols":  {[]string{secret}, []string{secret, "chat"}, "", "", 0},
		"selected by Authorize":     {[]string{"chat"}, []string{secret, "chat"}, secret, "", 500},
		"another, by Authorize":     {nil, []string{secret, "chat"}, "chat", "chat", 0},
		"not offered":               {[]string{"chat"}, []string{"chat"}, "", "", 401},
		"offered twice, ambiguous":  {[]string{"chat"}, []string{secret, "token.x"}, "", "", 401},
		"with a prefix that is not": {[]string{"chat"}, []string{"Token.SECRET", "chat"}, "", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var logged []string
			s := &server.Server{
				Subprotocols: tt.subprotocols,
				Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
					token, ok := a.SubprotocolToken(r, "token.")
					if !ok || token != "SECRET" {
						return &handshake.Error{Status: 401, Reason: "no token"}
					}
					if tt.choose != "" {
						a.Subprotocol = tt.choose
					}
					return nil
				},
				Log: func(err error) {
					mu.Lock()
					defer mu.Unlock()
					logged = append(logged, err.Error())
				},
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			check.Must(t, err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Serve(ln)
			}()
			c, err := client.Dial(t.Context(), "ws://"+ln.Addr().String(), &client.Config{Subprotocols: tt.offered})
			var refused *client.HandshakeError
			switch {
			case tt.status == 0:
				check.Must(t, err)
				check.Equal(t, c.Subprotocol(), tt.want, "subprotocol")
				for _, f := range c.Response().Header {
					if strings.Contains(f.Value, "SECRET") {
						t.Errorf("the response has %q", f)
					}
				}
				c.CloseNow()
			case !errors.As(err, &refused) || refused.Response.Status != tt.status || strings.Contains(err.Error(), "SECRET"):
				t.Errorf("got %v, want status %d", err, tt.status)
			}
			check.OK(t, s.Shutdown(context.Background()))
			<-done
			mu.Lock()
			defer mu.Unlock()
			if text := strings.Join(logged, "\n"); strings.Contains(text, "SECRET") || (tt.status == 500) != strings.Contains(text, "access token") {
				t.Errorf("logged %q", text)
			}
		})
	}
}
