package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// chatter is a client with the page's subprotocol.
type chatter struct {
	*client.Conn
	t      *testing.T
	id     int
	latest []chatMessage // in the welcome
}

func joinChat(t *testing.T, addr, name string) *chatter {
	t.Helper()
	c := dial(t, "ws://"+addr+"/chat?name="+url.QueryEscape(name), &client.Config{Subprotocols: []string{chatSubprotocol}})
	var w chatWelcome
	check.Must(t, c.ReceiveJSON(t.Context(), &w))
	check.Equal(t, w.Type, "welcome", "type of the first message")
	return &chatter{c, t, w.ID, w.Messages}
}

// next returns the next message of a type.
func (c *chatter) next(kind string, v any) {
	c.t.Helper()
	for {
		m, err := c.Receive(c.t.Context())
		check.Must(c.t, err)
		var head struct{ Type string }
		check.Must(c.t, json.Unmarshal(m.Payload, &head))
		if head.Type == kind {
			check.Must(c.t, json.Unmarshal(m.Payload, v))
			return
		}
	}
}

func (c *chatter) said(id int, name, text string) {
	c.t.Helper()
	var m chatMessage
	c.next("message", &m)
	if m.ID != id || m.Name != name || m.Text != text || m.At == 0 {
		c.t.Errorf("received %+v, want %d, %q, %q", m, id, name, text)
	}
}

// sees waits until the people have these names and there are so many others.
func (c *chatter) sees(others int, names ...string) {
	c.t.Helper()
	for {
		var p chatPeople
		c.next("people", &p)
		var got []string
		for _, m := range p.People {
			got = append(got, m.Name)
		}
		slices.Sort(got)
		if p.Others == others && slices.Equal(got, names) {
			return
		}
	}
}

func TestChatHasPresence(t *testing.T) {
	addr, _ := startServe(t)
	ada := joinChat(t, addr, "Ada")
	ada.sees(0, "Ada")
	plain := dial(t, "ws://"+addr+"/chat", nil)
	ada.sees(1, "Ada")
	grace := joinChat(t, addr, "Grace ☕")
	ada.sees(1, "Ada", "Grace ☕")
	grace.sees(1, "Ada", "Grace ☕")
	if ada.id == grace.id {
		t.Errorf("both have the id %d", ada.id)
	}

	check.Must(t, ada.SendText(`{"type":"people"} <b>`))
	for _, c := range []*chatter{ada, grace} {
		c.said(ada.id, "Ada", `{"type":"people"} <b>`)
	}
	receive(t, plain, wire.Text, `Ada: {"type":"people"} <b>`)
	check.Must(t, plain.SendText("hello"))
	receive(t, plain, wire.Text, "hello")
	grace.said(0, "", "hello")
	check.Must(t, plain.SendBinary([]byte(strings.Repeat("\x0f", 25))))
	receive(t, plain, wire.Binary, strings.Repeat("\x0f", 25))
	grace.said(0, "", "binary: "+strings.Repeat("0f", 24)+"…")

	check.OK(t, ada.Close(wire.NormalClosure, ""))
	grace.sees(1, "Grace ☕")
	check.OK(t, plain.Close(wire.NormalClosure, ""))
	grace.sees(0, "Grace ☕")
}

func TestChatHasHistory(t *testing.T) {
	addr, _ := startServe(t)
	ada := joinChat(t, addr, strings.Repeat("é", maxChatName+1))
	if ada.latest == nil || len(ada.latest) > 0 {
		t.Errorf("the history of an empty chat is %v, not an empty array", ada.latest)
	}
	name := strings.Repeat("é", maxChatName)
	ada.sees(0, name)
	check.Must(t, ada.SendText(strings.Repeat("a", maxChatText+1))) // not in the history
	for i := range maxChatHistory + 2 {
		check.Must(t, ada.SendText(fmt.Sprint(i)))
	}
	ada.said(ada.id, name, strings.Repeat("a", maxChatText+1))
	for i := range maxChatHistory + 2 {
		ada.said(ada.id, name, fmt.Sprint(i))
	}
	latest := joinChat(t, addr, "").latest
	if len(latest) != maxChatHistory || latest[0].Text != "2" || latest[maxChatHistory-1].Text != fmt.Sprint(maxChatHistory+1) || latest[0].Name != name {
		t.Errorf("%d messages, from %+v to %+v", len(latest), latest[0], latest[len(latest)-1])
	}
	ada.sees(0, "somebody", name)
}
