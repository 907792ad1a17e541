package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

func TestMembersOfARoomReadItsMessagesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t, "a", "b")
		ada := enter(t, ln, "a", "ada")
		expect(t, ada, event{"joined", "ada", ""})
		eve := enter(t, ln, "b", "eve")
		expect(t, eve, event{"joined", "eve", ""})
		bob := enter(t, ln, "a", "bob")
		expect(t, ada, event{"joined", "bob", ""})
		expect(t, bob, event{"joined", "bob", ""})

		check.Must(t, bob.SendText("<b>hello</b>"))
		expect(t, ada, event{"said", "bob", "<b>hello</b>"})
		expect(t, bob, event{"said", "bob", "<b>hello</b>"})
		check.Must(t, eve.SendText("alone"))
		expect(t, eve, event{"said", "eve", "alone"}) // not the message of the other room
		check.Must(t, bob.Close(wire.NormalClosure, ""))
		expect(t, ada, event{"left", "bob", ""})
	})
}

func TestHistoryHasTheLastMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t, "a")
		ada := enter(t, ln, "a", "ada")
		expect(t, ada, event{"joined", "ada", ""})
		const sent = historySize + 3
		for i := range sent {
			time.Sleep(time.Second / 10) // below MessagesPerSecond
			check.Must(t, ada.Sendf("%d", i))
			expect(t, ada, event{"said", "ada", fmt.Sprint(i)})
		}
		bob := enter(t, ln, "a", "bob")
		for i := sent - historySize; i < sent; i++ {
			expect(t, bob, event{"said", "ada", fmt.Sprint(i)})
		}
		expect(t, bob, event{"joined", "bob", ""})
	})
}

func TestOtherRoomsDoNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t, "a")
		_, err := client.Dial(t.Context(), "ws://chat.example/rooms/b", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
		refused := check.As[*client.HandshakeError](t, err, "dial")
		check.Equal(t, refused.Response.Status, http.StatusNotFound, "status")
	})
}

// start serves rooms in memory.
func start(t *testing.T, rooms ...string) *wstest.Listener {
	chat := newChat()
	web := &http.Server{Handler: routes(chat, rooms...)}
	t.Cleanup(func() { check.OK(t, chat.Shutdown(context.Background())) })
	return wstest.Serve(t, web)
}

// enter connects to a room.
func enter(t *testing.T, ln *wstest.Listener, room, name string) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), "ws://chat.example/rooms/"+room+"?name="+name, &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	check.Must(t, err)
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func expect(t *testing.T, c *client.Conn, want event) {
	t.Helper()
	var got event
	if err := c.ReceiveJSON(t.Context(), &got); err != nil || got != want {
		t.Fatalf("received %v, %v; want %v", got, err, want)
	}
}
