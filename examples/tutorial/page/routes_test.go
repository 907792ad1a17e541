package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

func TestPageAndChatShareAPort(t *testing.T) {
	chat := newChat()
	hs := httptest.NewServer(routes(chat))
	defer hs.Close()
	defer chat.Shutdown(t.Context())

	resp, err := hs.Client().Get(hs.URL)
	check.Must(t, err)
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, page) {
		t.Errorf("the page is %q, %v", got, err)
	}
	c, err := client.Dial(t.Context(), "ws"+strings.TrimPrefix(hs.URL, "http")+"/chat?name=Zo%C3%AB", nil)
	check.Must(t, err)
	m, err := c.Receive(t.Context())
	check.Must(t, err)
	check.Equal(t, m.Text(), `"Zoë" is here`, "the first message")
	check.OK(t, c.Close(wire.NormalClosure, ""))
}
