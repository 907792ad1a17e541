// Command gobwas measures the client side of github.com/gobwas/ws.
package main

import (
	"bufio"
	"bytes"
	"context"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/fibersock/fibersock/bench/clients/internal/measure"
)

func main() {
	measure.Main(measure.Client{
		Name:   "gobwas",
		Module: "github.com/gobwas/ws",
		UTF8:   true,
		Notes:  "wsutil.Reader with CheckUTF8 on 4 KiB of bufio into a reused buffer; wsutil.Writer with DisableFlush",
		Run:    run,
	})
}

// The README, "Why" and "Usage": wsutil's reader and writer, on buffers that the
// application reuses; Writer.DisableFlush makes a message one frame and one write.
func run(ctx context.Context, url string, s *measure.Session) error {
	conn, in, _, err := ws.Dial(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close()
	if in == nil { // the server has not sent anything but the handshake
		in = bufio.NewReaderSize(conn, 4096)
	}
	writer := wsutil.NewWriterSize(conn, ws.StateClientSide, ws.OpBinary, 4096)
	writer.DisableFlush()
	send := func(text bool, p []byte) error {
		op := ws.OpBinary
		if text {
			op = ws.OpText
		}
		writer.ResetOp(op)
		if _, err := writer.Write(p); err != nil {
			return err
		}
		return writer.Flush()
	}
	control := wsutil.ControlFrameHandler(conn, ws.StateClientSide)
	reader := &wsutil.Reader{Source: in, State: ws.StateClientSide, CheckUTF8: true, OnIntermediate: control}
	var message bytes.Buffer
	receive := func() (bool, []byte, error) {
		header, err := reader.NextFrame()
		for err == nil && header.OpCode.IsControl() {
			if err = control(header, reader); err == nil {
				header, err = reader.NextFrame()
			}
		}
		if err != nil {
			return false, nil, err
		}
		message.Reset()
		_, err = message.ReadFrom(reader)
		return header.OpCode == ws.OpText, message.Bytes(), err
	}
	return measure.Blocking(s, send, receive)
}
