// Command gobwas sends a text with github.com/gobwas/ws and prints the echo.
package main

import (
	"context"
	"os"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func run(url string) error {
	nc, _, _, err := ws.Dial(context.Background(), url)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := wsutil.WriteClientText(nc, []byte("hello")); err != nil {
		return err
	}
	p, err := wsutil.ReadServerText(nc)
	if err != nil {
		return err
	}
	os.Stdout.WriteString(string(p) + "\n")
	return wsutil.WriteClientMessage(nc, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
}
