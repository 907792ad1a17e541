package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/fibersock/fibersock/internal/texts"
)

// streams are the standard streams. inTerminal and outTerminal report whether
// they are terminals.
type streams struct {
	in          io.Reader
	out, err    io.Writer
	inTerminal  bool
	outTerminal bool
}

func newStreams(in io.Reader, out, err io.Writer) streams {
	return streams{in: in, out: out, err: err, inTerminal: isTerminal(in), outTerminal: isTerminal(out)}
}

// fail writes the error that ends a command to standard error.
func (s streams) fail(err error) {
	fmt.Fprintf(s.err, "fibersock: %s\n", escape(texts.WithoutPrefix(err)))
}

// newLog returns a log on standard error: of text, or of lines of JSON.
func (s streams) newLog(asJSON bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(s.err, options))
	}
	return slog.New(slog.NewTextHandler(s.err, options))
}

// isTerminal reports whether stream is a character device other than the null
// device.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok || file == nil {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
