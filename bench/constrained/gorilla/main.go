// Command gorilla sends a text with github.com/gorilla/websocket and prints the
// echo.
package main

import (
	"os"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func run(url string) error {
	c, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		return err
	}
	_, p, err := c.ReadMessage()
	if err != nil {
		return err
	}
	os.Stdout.WriteString(string(p) + "\n")
	return c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
}
