// Minimal sends one message and prints the reply:
//
//	minimal ws://127.0.0.1:8080/echo [MESSAGE]
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: minimal URL [MESSAGE]")
	}
	message := "hello"
	if len(args) > 1 {
		message = args[1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	conn, err := client.Dial(ctx, args[0], nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	if err := conn.SendText(message); err != nil {
		return err
	}
	reply, err := conn.Receive(ctx)
	if err != nil {
		return err
	}
	os.Stdout.WriteString(reply.Text() + "\n")
	return conn.Close(wire.NormalClosure, "")
}
