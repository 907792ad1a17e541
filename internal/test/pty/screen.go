package pty

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Screen is a model of a terminal, small but strict: Unknown counts the
// sequences that it does not know, which a test may refuse. It knows CR, LF,
// backspace, wrapping, wide and combining characters, and the control sequences
// C, D, G, H, J, K, h and l of ECMA-48.
type Screen struct {
	Unknown []string // sequences without an effect

	columns, rows int
	lines         [][]string // cells: a character with its marks; "" after a wide one
	row, column   int
	pending       []byte // an unfinished character or sequence
}

// NewScreen returns an empty screen.
func NewScreen(columns, rows int) *Screen {
	return &Screen{columns: columns, rows: rows, lines: [][]string{nil}}
}

// Write shows the output of a program.
func (s *Screen) Write(p []byte) (int, error) {
	for _, b := range p {
		s.pending = append(s.pending, b)
		if s.show(s.pending) {
			s.pending = s.pending[:0]
		}
	}
	return len(p), nil
}

// show executes bytes, and reports false if more of them must follow.
func (s *Screen) show(b []byte) bool {
	switch {
	case b[0] == 0x1b:
		if len(b) < 2 || b[1] == '[' && (len(b) < 3 || b[len(b)-1] < '@') {
			return false
		}
		s.sequence(string(b[1:]))
	case b[0] < ' ':
		s.control(b[0])
	case !utf8.FullRune(b):
		return false
	default:
		r, _ := utf8.DecodeRune(b)
		s.draw(r)
	}
	return true
}

func (s *Screen) control(b byte) {
	switch b {
	case '\r':
		s.column = 0
	case '\n':
		s.feed()
	case '\b':
		s.column = max(0, s.column-1)
	case '\a':
	case '\t':
		s.column = min((s.column/8+1)*8, s.columns-1)
	default:
		s.Unknown = append(s.Unknown, string(rune(b)))
	}
}

// feed moves the cursor down, and scrolls in the last row.
func (s *Screen) feed() {
	s.row++
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, nil)
	}
	for s.row >= s.rows {
		s.lines = s.lines[1:]
		s.row--
	}
}

func width(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= 0x1f300 && r < 0x1fb00:
		return 2
	}
	return 1
}

func (s *Screen) draw(r rune) {
	w := width(r)
	if w > 0 && s.column+w > s.columns {
		s.column = 0
		s.feed()
	}
	line := s.lines[s.row]
	for len(line) < s.column+w {
		line = append(line, " ")
	}
	switch {
	case w > 0:
		line[s.column] = string(r)
		if w == 2 {
			line[s.column+1] = ""
		}
		s.column += w
	case s.column > 0 && s.column <= len(line):
		at := s.column - 1
		if line[at] == "" && at > 0 {
			at--
		}
		line[at] += string(r)
	}
	s.lines[s.row] = line
}

// sequence executes a sequence without its ESC.
func (s *Screen) sequence(text string) {
	if text[0] != '[' {
		s.Unknown = append(s.Unknown, text)
		return
	}
	parameters, final := text[1:len(text)-1], text[len(text)-1]
	number, _ := strconv.Atoi(parameters) // 0 if there is none
	line := s.lines[s.row]
	switch {
	case final == 'C':
		s.column = min(s.column+max(number, 1), s.columns-1)
	case final == 'D':
		s.column = max(s.column-max(number, 1), 0)
	case final == 'G':
		s.column = min(max(number, 1), s.columns) - 1
	case final == 'H' && parameters == "":
		s.row, s.column = 0, 0
	case final == 'J' && parameters == "2":
		s.lines = make([][]string, s.row+1)
	case final == 'K' && parameters == "":
		s.lines[s.row] = line[:min(len(line), s.column)]
	case (final == 'h' || final == 'l') && parameters == "?2004":
	default:
		s.Unknown = append(s.Unknown, text)
	}
}

// Text returns the text of the screen with "▮" in front of the cursor's
// character, without spaces at the ends of lines and without empty lines at the
// end.
func (s *Screen) Text() string {
	var lines []string
	for i, cells := range s.lines {
		text := strings.TrimRight(strings.Join(cells, ""), " ")
		if i == s.row {
			cells = append([]string{}, cells...)
			for len(cells) < s.column {
				cells = append(cells, " ")
			}
			text = strings.Join(cells[:s.column], "") + "▮" + strings.TrimRight(strings.Join(cells[s.column:], ""), " ")
		}
		lines = append(lines, text)
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "\n")
}
