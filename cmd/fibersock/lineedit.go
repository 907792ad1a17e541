package main

import (
	"slices"
	"strings"
	"unicode"
)

// lineEditor edits one line by the keys of a terminal, with the keys of
// readline, and recalls earlier lines. It neither reads a terminal nor writes
// to one: edit executes a key, and view returns the text to be shown. The zero
// value is an empty line without a history.
//
// The line may hold any characters, also control characters and line ends: view
// shows ^J for a line end.
type lineEditor struct {
	line   []rune
	cursor int // an index in line, or its length
	first  int // the first visible character, if the line is too long for the terminal
	killed []rune

	history  []string // entered lines, oldest first
	recalled int      // the index in history of the line that is shown; its length: a new line
	draft    []rune   // the new line while an older one is shown

	searching bool
	query     []rune // of the search

	// commands are the texts that the tab key completes.
	commands []string
}

// maxHistory is the number of lines that an editor keeps.
const maxHistory = 1000

// editResult is the effect of a key outside of the line.
type editResult uint8

const (
	lineChanged   editResult = iota // or the key had no effect
	lineEntered                     // enter returns the line
	inputEnded                      // Ctrl-D in an empty line
	screenCleared                   // Ctrl-L
)

// edit executes a key.
func (e *lineEditor) edit(k key) editResult {
	if e.searching && e.search(k) {
		return lineChanged
	}
	switch k.code {
	case keyText:
		e.insert([]rune(k.text))
	case keyEnter:
		return lineEntered
	case keyEndOfInput:
		if len(e.line) == 0 {
			return inputEnded
		}
		e.remove(e.cursor, e.next(e.cursor))
	case keyClearScreen:
		return screenCleared
	case keyLeft:
		e.cursor = e.previous(e.cursor)
	case keyRight:
		e.cursor = e.next(e.cursor)
	case keyHome:
		e.cursor = 0
	case keyEnd:
		e.cursor = len(e.line)
	case keyWordLeft:
		e.cursor = e.wordStart(isLetter)
	case keyWordRight:
		e.cursor = e.wordEnd()
	case keyUp:
		e.recall(e.recalled - 1)
	case keyDown:
		e.recall(e.recalled + 1)
	case keyBackspace:
		e.remove(e.previous(e.cursor), e.cursor)
	case keyDelete:
		e.remove(e.cursor, e.next(e.cursor))
	case keyKillToEnd:
		e.kill(e.cursor, len(e.line))
	case keyKillToStart:
		e.kill(0, e.cursor)
	case keyKillWordBefore:
		e.kill(e.wordStart(isNotSpace), e.cursor)
	case keyKillLettersLeft:
		e.kill(e.wordStart(isLetter), e.cursor)
	case keyKillLettersRight:
		e.kill(e.cursor, e.wordEnd())
	case keyYank:
		e.insert(e.killed)
	case keyTranspose:
		e.transpose()
	case keyTab:
		e.completeCommand()
	case keySearch:
		e.searching, e.query = true, nil
	}
	return lineChanged
}

// enter returns the line, adds it to the history and begins an empty one.
func (e *lineEditor) enter() string {
	line := string(e.line)
	if line != "" && (len(e.history) == 0 || e.history[len(e.history)-1] != line) {
		if len(e.history) == maxHistory {
			e.history = slices.Delete(e.history, 0, 1)
		}
		e.history = append(e.history, line)
	}
	e.line, e.cursor, e.first = nil, 0, 0
	e.recalled, e.draft, e.searching = len(e.history), nil, false
	return line
}

// insert inserts text at the cursor.
func (e *lineEditor) insert(text []rune) {
	e.line = slices.Insert(e.line, e.cursor, text...)
	e.cursor += len(text)
}

// remove removes the characters from..to, one of which is the cursor's.
func (e *lineEditor) remove(from, to int) {
	e.line = slices.Delete(e.line, from, to)
	e.cursor = from
}

// kill is remove for text that keyYank inserts again.
func (e *lineEditor) kill(from, to int) {
	if from < to {
		e.killed = slices.Clone(e.line[from:to])
		e.remove(from, to)
	}
}

// transpose exchanges the characters around the cursor, at the end of the line
// the last two.
func (e *lineEditor) transpose() {
	middle := e.cursor
	if middle == len(e.line) {
		middle = e.previous(middle)
	}
	from, to := e.previous(middle), e.next(middle)
	if from == middle || to == middle {
		return
	}
	exchanged := slices.Concat(e.line[middle:to], e.line[from:middle])
	copy(e.line[from:to], exchanged)
	e.cursor = to
}

// boundary reports whether the cursor may stop before index i: not between a
// character and its combining marks, or within joined emoji.
func (e *lineEditor) boundary(i int) bool {
	return i <= 0 || i >= len(e.line) || !extends(e.line[i]) && e.line[i-1] != zeroWidthJoiner
}

// next returns the boundary after index i.
func (e *lineEditor) next(i int) int {
	for i++; !e.boundary(i); i++ {
	}
	return min(i, len(e.line))
}

// previous returns the boundary before index i.
func (e *lineEditor) previous(i int) int {
	for i--; !e.boundary(i); i-- {
	}
	return max(i, 0)
}

func isLetter(r rune) bool   { return unicode.In(r, unicode.L, unicode.N, unicode.M) }
func isNotSpace(r rune) bool { return !unicode.IsSpace(r) }

// wordStart returns the start of the word before the cursor.
func (e *lineEditor) wordStart(inWord func(rune) bool) int {
	i := e.cursor
	for i > 0 && !inWord(e.line[i-1]) {
		i--
	}
	for i > 0 && (inWord(e.line[i-1]) || !e.boundary(i)) {
		i--
	}
	return i
}

// wordEnd returns the end of the word after the cursor.
func (e *lineEditor) wordEnd() int {
	i := e.cursor
	for i < len(e.line) && !isLetter(e.line[i]) {
		i++
	}
	for i < len(e.line) && (isLetter(e.line[i]) || !e.boundary(i)) {
		i++
	}
	return i
}

// recall shows the line of the history with the index i, or the new line.
func (e *lineEditor) recall(i int) {
	if i < 0 || i > len(e.history) || i == e.recalled {
		return
	}
	if e.recalled == len(e.history) {
		e.draft = e.line
	}
	e.recalled = i
	if i == len(e.history) {
		e.line = e.draft
	} else {
		e.line = []rune(e.history[i])
	}
	e.cursor = len(e.line)
}

// search executes a key during a search backward in the history. It reports
// false if the key ends the search and has its usual effect.
func (e *lineEditor) search(k key) bool {
	switch k.code {
	case keyText:
		e.query = append(e.query, []rune(k.text)...)
		e.find(e.recalled)
	case keyBackspace:
		e.query = e.query[:max(0, len(e.query)-1)]
	case keySearch:
		e.find(e.recalled - 1)
	case keyCancel:
		e.searching = false
		e.recall(len(e.history))
	default:
		e.searching = false
		return false
	}
	return true
}

// find shows the last line of the history up to the index i that contains the
// query.
func (e *lineEditor) find(i int) {
	for i = min(i, len(e.history)-1); i >= 0; i-- {
		if strings.Contains(e.history[i], string(e.query)) {
			e.recall(i)
			return
		}
	}
}

// completeCommand completes the command that the line begins with, if there is
// only one.
func (e *lineEditor) completeCommand() {
	before := string(e.line[:e.cursor])
	if before == "" {
		return
	}
	found := ""
	for _, command := range e.commands {
		if strings.HasPrefix(command, before) {
			if found != "" {
				return
			}
			found = command
		}
	}
	e.insert([]rune(strings.TrimPrefix(found, before)))
}

// prompt returns the text in front of the line.
func (e *lineEditor) prompt() string {
	if e.searching {
		return "(search) " + visible(e.query) + ": "
	}
	return promptText
}

// view returns the prompt and the visible part of the line in a terminal with
// this number of columns, and the column of the cursor. The last column stays
// free, because terminals differ in the position of a cursor after it.
func (e *lineEditor) view(columns int) (text string, cursor int) {
	prompt := e.prompt()
	if columns = max(columns, 1); textWidth(prompt) > columns/2 {
		prompt = ""
	}
	room := columns - textWidth(prompt) - 1
	if e.first > e.cursor {
		e.first = e.cursor
	}
	start, width := e.cursor, 0 // the first character, if the cursor's is the last
	if e.cursor < len(e.line) {
		width = cellWidth(e.line[e.cursor])
	}
	for ; start > e.first; start-- {
		if width += cellWidth(e.line[start-1]); width > room {
			break
		}
	}
	// The cursor may stand before a combining mark: inserted text is not always
	// a whole character.
	for e.first = start; e.first < e.cursor && !e.boundary(e.first); e.first++ {
	}
	end := e.first
	for width = 0; end < len(e.line); end++ {
		if width += cellWidth(e.line[end]); width > room {
			width -= cellWidth(e.line[end])
			break
		}
	}
	for end == len(e.line) && e.first > 0 { // the line has become shorter
		before := e.previous(e.first)
		if width += textWidth(visible(e.line[before:e.first])); width > room {
			break
		}
		e.first = before
	}
	return prompt + visible(e.line[e.first:end]), textWidth(prompt) + textWidth(visible(e.line[e.first:e.cursor]))
}

// whole returns the prompt and the whole line, which may be longer than the
// terminal.
func (e *lineEditor) whole() string { return e.prompt() + visible(e.line) }

// visible returns text in a form that a terminal shows and does not execute:
// ^J for a line end, ^[ for ESC.
func visible(text []rune) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteString(cell(r))
	}
	return b.String()
}

// cell is a character as visible shows it.
func cell(r rune) string {
	switch {
	case r < ' ':
		return "^" + string(r+'@')
	case r == 0x7f:
		return "^?"
	}
	return escape(string(r))
}

func cellWidth(r rune) int { return textWidth(cell(r)) }
