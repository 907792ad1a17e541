package main

import "os"

// terminal is the terminal of standard input while a lineEditor has it: the
// terminal neither edits nor shows the typed text itself. Its methods may be
// called by any goroutine; a nil *terminal has none.
//
// terminal_unix.go and its neighbours implement it, terminal_other.go for
// systems on which lines are read as they are.

const (
	enablePaste  = "\x1b[?2004h" // a paste is marked, and so not executed line by line
	disablePaste = "\x1b[?2004l"
	clearScreen  = "\x1b[H\x1b[2J"
)

// editable reports whether lines can be edited on the terminal: it obeys
// escape sequences, and standard error is a terminal too.
func (std streams) editable() bool {
	if !std.inTerminal || !isTerminal(std.err) {
		return false
	}
	term := os.Getenv("TERM")
	return term != "" && term != "dumb"
}
