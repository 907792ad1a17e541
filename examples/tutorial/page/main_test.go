package main

import (
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

func TestEverybodyReceivesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat()
		ln := wstest.Serve(t, chat) // in memory, until the test ends

		join := func(name string) *client.Conn {
			c, err := client.Dial(t.Context(), "ws://chat.example/?name="+name, &client.Config{DialContext: client.DialFunc(ln.DialContext)})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		expect := func(c *client.Conn, want string) {
			t.Helper()
			if m, err := c.Receive(t.Context()); err != nil || m.Text() != want {
				t.Errorf("received %q, %v; want %q", m.Text(), err, want)
			}
		}
		ada := join("ada")
		expect(ada, `"ada" is here`)
		bob := join("bob")
		expect(ada, `"bob" is here`)
		expect(bob, `"bob" is here`)

		if err := ada.SendText("hello"); err != nil {
			t.Error(err)
		}
		expect(ada, `"ada": hello`)
		expect(bob, `"ada": hello`)

		ada.Close(wire.NormalClosure, "")
		expect(bob, `"ada" has left`)
		bob.Close(wire.NormalClosure, "")
	})
}
