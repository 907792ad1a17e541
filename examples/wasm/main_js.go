package main

import (
	"context"
	"strings"
	"syscall/js"

	"github.com/fibersock/fibersock/client"
)

// main never returns: the browser reports a timer of Go that fires after the end
// of the program as an error of the page.
func main() {
	converse()
	select {}
}

// converse connects to the server of the page, sends the texts of the form and
// shows the replies.
func converse() {
	document := js.Global().Get("document")
	element := func(id string) js.Value { return document.Call("getElementById", id) }
	origin := js.Global().Get("location").Get("origin").String()
	ctx := context.Background()
	c, err := client.Dial(ctx, "ws"+strings.TrimPrefix(origin, "http")+"/echo", nil)
	if err != nil {
		element("state").Set("textContent", err.Error())
		return
	}
	defer c.CloseNow()
	element("state").Set("textContent", "open")

	// An event handler must not block, and Send can.
	texts := make(chan string, 16)
	submit := js.FuncOf(func(_ js.Value, args []js.Value) any {
		args[0].Call("preventDefault")
		select {
		case texts <- element("text").Get("value").String():
			element("text").Set("value", "")
		default: // the server does not read: the text stays in its field
		}
		return nil
	})
	defer submit.Release()
	element("say").Set("onsubmit", submit)
	element("send").Set("disabled", false)
	go func() {
		for text := range texts {
			if c.SendText(text) != nil {
				return // Messages returns the error
			}
		}
	}()

	for m, err := range c.Messages(ctx) {
		if err != nil {
			element("state").Set("textContent", err.Error())
			break
		}
		item := document.Call("createElement", "li")
		item.Set("textContent", m.Text())
		element("log").Call("append", item)
	}
	element("say").Set("onsubmit", nil)
	element("send").Set("disabled", true)
}
