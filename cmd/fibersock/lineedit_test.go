package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// keyboard is an editor with the decoder in front of it.
type keyboard struct {
	decoder keyDecoder
	editor  lineEditor
	entered []string
	results []editResult // other than lineChanged and lineEntered
}

// press sends bytes of a terminal.
func (k *keyboard) press(bytes string) {
	for i := range len(bytes) {
		key, ok := k.decoder.decode(bytes[i])
		if !ok {
			continue
		}
		switch result := k.editor.edit(key); result {
		case lineChanged:
		case lineEntered:
			k.entered = append(k.entered, k.editor.enter())
		default:
			k.results = append(k.results, result)
		}
	}
}

// shown is the line with "|" at the cursor.
func (k *keyboard) shown() string {
	return string(k.editor.line[:k.editor.cursor]) + "|" + string(k.editor.line[k.editor.cursor:])
}

const (
	up, down, right, left = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
	home, end, del        = "\x1b[H", "\x1b[F", "\x1b[3~"
)

func TestKeysEditTheLine(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"", "|"},
		{"hello", "hello|"},
		{"hello" + left + left + "L", "helL|lo"},
		{"hello" + "\x1bOD\x1bOD" + "L", "helL|lo"}, // keypad in application mode
		{"hello" + home + right + "_", "h_|ello"},
		{"ab" + home + end + "c", "abc|"},
		{"ab\x01c\x05d\x02\x02e\x06f", "caebf|d"},
		{"hello\x7f\x7f", "hel|"},
		{"hello\x08", "hell|"},
		{"\x7f" + del + left + right + up + down, "|"},
		{"hello" + home + del + del, "|llo"},
		{"hello" + home + "\x04", "|ello"},
		{"hello world" + left + left + "\x0b", "hello wor|"},
		{"hello world" + left + left + "\x15", "|ld"},
		{"hello world\x17", "hello |"},
		{"hello world  \x17", "hello |"},
		{"a-b c-d\x17", "a-b |"},
		{"a-b c-d\x1b\x7f", "a-b c-|"},
		{"one two\x17\x01\x19", "two|one "},
		{"one two" + home + "\x1bd", "| two"},
		{"one two" + home + "\x1bf\x1bf", "one two|"},
		{"one two" + home + "\x1b[1;5C", "one| two"},
		{"one two\x1bb", "one |two"},
		{"one two\x1b[1;5D\x1b[1;3D", "|one two"},
		{"ab\x14", "ba|"},
		{"abc" + home + right + "\x14", "ba|c"},
		{"क्\u200dष क्\u200dष\x1bb\x1bb\x1bf", "क्\u200dष| क्\u200dष"}, // a joiner within a word
		{"क्\u200dष\x1b\x7f", "|"},
		{"a\x14" + home + "\x14", "|a"},
		{"\x0b\x15\x17\x19", "|"},
		{"ü日🙂" + left + left + "x", "üx|日🙂"},
		{"e\u0301a" + left + left + "x", "x|e\u0301a"},
		{"👩\u200d🚀!" + left + "\x7f", "|!"},
		{"a👍🏽" + left + "x", "ax|👍🏽"},
		{"a\x1b[5~\x1b[15~\x1b[1;2P\x1bOP\x1b[[Ab", "ab|"},                // PgUp, F5, F1 in three forms
		{"a\x1b[200~b\r\nc\td\x1b[201~e", "ab\nc\tde|"},                   // a paste
		{"a\x1b[200~\x1b[A\x01\xff\x1b[201~", "a\x1b[A\x01|"},             // as it is, but for bytes that are no text
		{"a\x1b\rb", "a\nb|"},                                             // Alt-Enter
		{"a\x1bxb\x1b\x1b[Dc\x1bü", "acü|b"},                              // an unknown Alt key; Alt-Left; Alt and a letter
		{"a\x1b[1" + up + "b\x1b[9\x01c", "c|ab"},                         // sequences that are cut off
		{"a\x1b[" + strings.Repeat("1", 100) + ";5Cb", "ab|"},             // one that is too long
		{"a\xffb\xc3c\xf0\x9f\x99d\xed\xa0\x80e\x80", "abcde|"},           // not UTF-8
		{"a\x00\x1c\x1d\x1e\x1fb", "ab|"},                                 // control characters without a meaning
		{"/pi\t", "/ping |"}, {"/pi\tx\t", "/ping x|"}, {"pi\t\t", "pi|"}, // completion
		{"\t/\t", "/|"}, {"/b\t", "/b|"}, {"/c\t", "/close |"}, {"/x\t", "/x|"},
	} {
		k := keyboard{}
		k.editor.commands = []string{"/ping ", "/binary ", "/base ", "/close "}
		k.press(c.keys)
		if got := k.shown(); got != c.want || k.entered != nil {
			t.Errorf("%q: %q, want %q; entered %q", c.keys, got, c.want, k.entered)
		}
	}
}

func TestKeysThatLeaveTheLine(t *testing.T) {
	var k keyboard
	k.press("one\rtwo\n\rx\x04\x0c\x7f\x04")
	if want := []string{"one", "two", ""}; !slices.Equal(k.entered, want) {
		t.Errorf("entered %q, want %q", k.entered, want)
	}
	if want := []editResult{screenCleared, inputEnded}; !slices.Equal(k.results, want) {
		t.Errorf("%v, want %v", k.results, want)
	}
}

func TestHistory(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{up, "three|"},
		{up + up, "two|"},
		{up + up + up + up + up, "one|"},
		{up + up + down, "three|"},
		{"new" + up + up + down + down, "new|"},
		{"new" + up + down + down + "x", "newx|"},
		{up + "x" + up + down, "three|"}, // a change of an old line is dropped
		{up + up + "x\r" + up, "twox|"},
		{"three\r" + up + up, "two|"}, // the same line twice is one
		{"\r" + up, "three|"},         // empty lines are not kept
		{"\x10\x10\x0e", "three|"},
		{"\x12tw", "two|"},
		{"\x12o", "two|"},
		{"\x12o\x12", "one|"},
		{"\x12o\x12\x12", "one|"},
		{"\x12oxx\x7f\x7f\x12" + home + "!", "!|one"},
		{"new\x12tw\x07", "new|"},
		{"\x12zz\x07\x7f", "|"},
		{"\x12tw\r" + up, "two|"},
	} {
		var k keyboard
		k.press("one\rtwo\rthree\r" + c.keys)
		if got := k.shown(); got != c.want {
			t.Errorf("%q: %q, want %q", c.keys, got, c.want)
		}
	}
	var k keyboard
	for i := range 2 * maxHistory {
		k.press(fmt.Sprint(i, "\r"))
	}
	if n := len(k.editor.history); n != maxHistory {
		t.Errorf("%d lines are kept", n)
	}
	if k.press(up); k.shown() != fmt.Sprint(2*maxHistory-1, "|") {
		t.Errorf("%q is the last line", k.shown())
	}
}

func TestViewOfTheLine(t *testing.T) {
	for _, c := range []struct {
		keys    string
		columns int
		want    string // with "|" at the cursor
	}{
		{"hello", 80, "> hello|"},
		{"hello" + left, 80, "> hell|o"},
		{"0123456789", 10, "> 3456789|"},
		{"0123456789" + left, 10, "> 345678|9"},
		{"0123456789" + home, 10, "> |0123456"},
		{"0123456789" + home + right, 10, "> 0|123456"},
		{"0123456789\x7f\x7f\x7f", 10, "> 0123456|"},
		{"0123456789\x7f", 10, "> 2345678|"},
		{"日本語日本語", 10, "> 日本語|"},
		{"日本語日本語" + left, 10, "> 日本|語"},
		{"a\tb\tc\x1b\r", 80, "> a^Jb^Jc^J|"},
		{"\x1b[200~a\nb\x1b[31m\u202e\u009b\x7f\x1b[201~", 80, `> a^Jb^[[31m\u202e\u009b^?|`},
		{"e\u0301" + left, 80, "> |e\u0301"},
		{"hello", 3, "lo|"},
		{"hello", 1, "|"},
		{"hello", 0, "|"},
		{"\x12x", 80, "(search) x: |"},
		{"\u0301" + home + "日", 2, "|\u0301"}, // inserted before a combining mark, with room for one column
		{"\u0301" + home + "日", 3, "日|\u0301"},
		{"🚀" + home + "日\u200d", 2, "|"},
	} {
		var k keyboard
		k.press(strings.ReplaceAll(c.keys, "\t", "\x1b\r"))
		text, cursor := k.editor.view(c.columns)
		column := 0
		var got strings.Builder
		marked := false
		for _, r := range text + "\x00" {
			if column >= cursor && !marked {
				got.WriteByte('|')
				marked = true
			}
			if r != 0 {
				got.WriteRune(r)
				column += runeWidth(r)
			}
		}
		if got.String() != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.keys, c.columns, got.String(), c.want)
		}
	}
	var k keyboard
	k.press("one\r\x12on\x12")
	if got := k.editor.whole(); got != "(search) on: one" {
		t.Errorf("%q", got)
	}
}

func TestWidths(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "ü": 1, "e\u0301": 1, "日本": 4, "한국": 4, "🙂": 2, "ｆ": 2, "\u200d": 0, "\ufe0f": 0, "→": 1, "★": 1, "⭐": 2, "\U0010ffff": 1,
	} {
		if got := textWidth(text); got != want {
			t.Errorf("%q has %d columns, want %d", text, got, want)
		}
	}
	if !slices.IsSortedFunc(wideRanges, func(a, b [2]rune) int { return int(a[0] - b[1]) }) {
		t.Error("the ranges are not in order")
	}
}

// FuzzLineEditor checks for any input that the cursor stays within the line and
// the terminal, that the line is UTF-8, and that view shows no control
// character.
func FuzzLineEditor(f *testing.F) {
	f.Add("hello"+left+up+down+home+end+del, 80)
	f.Add("one\rtwo\r\x12o\x12\x07"+up+"\x1b[200~a\r\nb\x1b[201~\x17\x19\x14", 10)
	f.Add("日本語👩\u200d🚀e\u0301"+left+"\x7f\xff\xf0\x9f", 5)
	f.Add("\u0301"+home+"日", 2)
	f.Add("\x1b[[A\x1bOP\x1b[1;5D\x1bb\x1b\x1b\x1b[999", 1)
	f.Fuzz(func(t *testing.T, keys string, columns int) {
		columns %= 200
		var k keyboard
		k.editor.commands = []string{"/ping", "/pong"}
		for i := range len(keys) {
			k.press(keys[i : i+1])
			e := &k.editor
			if e.cursor < 0 || e.cursor > len(e.line) {
				t.Fatalf("cursor %d in a line of %d characters", e.cursor, len(e.line))
			}
			text, cursor := e.view(columns)
			if width := textWidth(text); cursor < 0 || cursor > width || width > max(columns-1, 0) {
				t.Fatalf("cursor in column %d of %q, %d columns wide, in a terminal of %d", cursor, text, width, columns)
			}
			if escape(text) != text {
				t.Fatalf("view %q", text)
			}
			if !utf8.ValidString(string(e.line)) || len(e.history) > maxHistory || e.recalled < 0 || e.recalled > len(e.history) {
				t.Fatalf("line %q, history %d, %d", string(e.line), len(e.history), e.recalled)
			}
		}
	})
}
