// Command fibersock sends a text with package client and prints the echo.
package main

import (
	"context"
	"os"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func run(url string) error {
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if err := c.SendText("hello"); err != nil {
		return err
	}
	m, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	os.Stdout.WriteString(m.Text() + "\n")
	return c.Close(wire.NormalClosure, "")
}
