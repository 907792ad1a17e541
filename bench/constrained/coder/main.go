// Command coder sends a text with github.com/coder/websocket and prints the
// echo.
package main

import (
	"context"
	"os"

	"github.com/coder/websocket"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func run(url string) error {
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	_, p, err := c.Read(ctx)
	if err != nil {
		return err
	}
	os.Stdout.WriteString(string(p) + "\n")
	return c.Close(websocket.StatusNormalClosure, "")
}
