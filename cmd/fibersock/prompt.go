package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
)

const promptText = "> "

// typing is the line that a person types: the terminal, its keys and the
// editor. output.mu guards it.
type typing struct {
	terminal *terminal
	decoder  keyDecoder
	editor   lineEditor
}

// startEditing gives the terminal of in to an editor of lines. Without success
// the terminal edits them by itself.
func (o *output) startEditing(in io.Reader, commands []string) {
	t, err := openTerminal(in, o.redraw)
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.typing = &typing{terminal: t}
	o.typing.editor.commands = commands
	io.WriteString(o.std.err, enablePaste)
}

// stopEditing removes the prompt and restores the terminal. It may be called
// more than once.
func (o *output) stopEditing() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.typing == nil || o.typing.terminal == nil {
		return
	}
	o.hidePrompt()
	o.prompt = false
	o.typing.terminal.close()
	io.WriteString(o.std.err, disablePaste)
	o.typing.terminal = nil
}

// editing reports whether lines are read by editedLine.
func (o *output) editing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.typing != nil
}

// editedLine reads keys up to the end of a line. The prompt must be shown. The
// error is io.EOF after Ctrl-D in an empty line.
func (o *output) editedLine(keys *bufio.Reader) (line []byte, ok bool, err error) {
	for {
		b, err := keys.ReadByte()
		if err != nil {
			return nil, false, err
		}
		switch text, result := o.key(b, keys.Buffered() == 0); result {
		case lineEntered:
			return []byte(text), true, nil
		case inputEnded:
			return nil, false, io.EOF
		}
	}
}

// key executes a byte of the terminal, and returns the line that it completes.
// last means that no more bytes have been read.
func (o *output) key(b byte, last bool) (line string, result editResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.typing.terminal == nil {
		return "", lineChanged // the end has begun
	}
	if k, ok := o.typing.decoder.decode(b); ok {
		result = o.typing.editor.edit(k)
	}
	switch result {
	case lineEntered:
		o.hidePrompt()
		fmt.Fprintf(o.std.err, "%s\n", o.typing.editor.whole())
		return o.typing.editor.enter(), result
	case screenCleared:
		io.WriteString(o.std.err, clearScreen)
	}
	if last || result == screenCleared {
		o.showPrompt()
	}
	return "", result
}

// redraw shows the prompt again.
func (o *output) redraw() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.showPrompt()
}

// ask shows the prompt.
func (o *output) ask() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.interactive && !o.over && (o.typing == nil || o.typing.terminal != nil) {
		o.prompt = true
		o.showPrompt()
	}
}

// answered notes that a line was entered: the cursor is in the next row.
func (o *output) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prompt = false
}

func (o *output) hidePrompt() {
	if o.prompt {
		io.WriteString(o.std.err, eraseLine())
	}
}

// showPrompt shows the prompt and the edited line in the cursor's row.
func (o *output) showPrompt() {
	switch {
	case !o.prompt:
	case o.typing == nil:
		io.WriteString(o.std.err, promptText)
	default:
		text, column := o.typing.editor.view(o.typing.terminal.columns())
		picture := "\r" + text + "\x1b[K\r"
		if column > 0 {
			picture += fmt.Sprintf("\x1b[%dC", column)
		}
		io.WriteString(o.std.err, picture)
	}
}

// eraseLine returns the sequence that erases the prompt and the text typed
// after it, or a newline for a terminal without such a sequence.
func eraseLine() string {
	if term := os.Getenv("TERM"); runtime.GOOS == "windows" || term == "" || term == "dumb" {
		return "\n"
	}
	return "\r\x1b[K"
}
