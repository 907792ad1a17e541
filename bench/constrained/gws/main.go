// Command gws sends a text with github.com/lxzan/gws and prints the echo.
package main

import (
	"os"

	"github.com/lxzan/gws"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

type printer struct{ gws.BuiltinEventHandler }

func (printer) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	os.Stdout.WriteString(string(m.Bytes()) + "\n")
	c.WriteClose(1000, nil)
}

func run(url string) error {
	c, _, err := gws.NewClient(new(printer), &gws.ClientOption{Addr: url})
	if err != nil {
		return err
	}
	if err := c.WriteString("hello"); err != nil {
		return err
	}
	c.ReadLoop()
	return nil
}
