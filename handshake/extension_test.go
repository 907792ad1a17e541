package handshake_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

type extensions = []handshake.Extension

func extension(name string, params ...handshake.Param) handshake.Extension {
	return handshake.Extension{Name: name, Params: params}
}

func flag(name string) handshake.Param { return handshake.Param{Name: name} }

func param(name, value string) handshake.Param {
	return handshake.Param{Name: name, Value: value, HasValue: true}
}

func TestExtensionGrammar(t *testing.T) {
	cases := []struct {
		rule, in string
		want     extensions
	}{
		{"one", "foo", extensions{extension("foo")}},
		{"9110-5.6.1-a empty members", ",, foo ,\t,", extensions{extension("foo")}},
		{"9110-5.6.1-a nothing", "", nil},
		{"9110-5.6.1-a commas", " , ,", nil},
		{"6455-9.1-b order is kept", "b, a; x, b", extensions{extension("b"), extension("a", flag("x")), extension("b")}},
		{"WHATWG-3 Chrome, Firefox", "permessage-deflate; client_max_window_bits",
			extensions{extension("permessage-deflate", flag("client_max_window_bits"))}},
		{"several offers", "a; x=1; y, a", extensions{extension("a", param("x", "1"), flag("y")), extension("a")}},
		{"6455-4.3-a quoted token", `permessage-deflate; server_max_window_bits="10"`,
			extensions{extension("permessage-deflate", param("server_max_window_bits", "10"))}},
		{"6455-4.3-a escapes", `a; b="\1\0"; c="x\y"; d="\z"`,
			extensions{extension("a", param("b", "10"), param("c", "xy"), param("d", "z"))}},
		{"white space everywhere", "\ta ; b = c\t; d =\t\"e\" , f ", extensions{extension("a", param("b", "c"), param("d", "e")), extension("f")}},
		{"T-D09 names of JavaScript's prototypes", "constructor, __proto__; toString=valueOf",
			extensions{extension("constructor"), extension("__proto__", param("toString", "valueOf"))}},
		{"T-D09 long name", strings.Repeat("n", 10000), extensions{extension(strings.Repeat("n", 10000))}},
		{"case is kept", "PerMessage-Deflate", extensions{extension("PerMessage-Deflate")}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := handshake.ParseExtensions(nil, c.in)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("ParseExtensions(%q) = %+v, %v; want %+v", c.in, got, err, c.want)
			}
		})
	}
}

// 6455-4.2.1-m, 6455-4.3-a, 6455-9.1-a
func TestMalformedExtensionLists(t *testing.T) {
	for _, in := range []string{
		";=", ";", "=", "permessage-deflate;", "permessage-deflate;;", "permessage-deflate; x=", "a; =b", "a;,b",
		"a b", "a=b", "a; b c", "a; b=c d", "a; b=c=d", "a/b", "a; b/c", "a; b=c/d", `"a"`, `a; "b"`,
		`a; b="`, `a; b="c`, `a; b="c\`, `a; b="c\"`, `a; b=""`, `a; b="1 0"`, `a; b="c,d"`, `a; b="c;d"`, `a; b="\""`,
		`a; b="c"d`, `a; b="c" d`, `a; b=c"d"`, "é", "a; b=é", "a\x00", "a\r\nX: y", "a; b=\"c\nd\"",
	} {
		dst := extensions{extension("kept")}
		got, err := handshake.ParseExtensions(dst, "ok; x=1, "+in)
		var malformed *handshake.ExtensionError
		if !errors.As(err, &malformed) || !strings.HasPrefix(err.Error(), "websocket: extension list ") {
			t.Errorf("ParseExtensions(%q) = %+v, %v; want an *ExtensionError", in, got, err)
		}
		if !reflect.DeepEqual(got, dst) {
			t.Errorf("ParseExtensions(%q) changed dst: %+v", in, got)
		}
	}
}

// T-D02, T-D09: the parser reads a list once and limits the number of members.
func TestHostileExtensionListsAreReadInOnePass(t *testing.T) {
	for what, in := range map[string]string{
		"escapes, not closed":   `a; b="` + strings.Repeat(`\c`, 4<<20),
		"escapes, closed":       `a; b="` + strings.Repeat(`\c`, 4<<20) + `" x`,
		"quotes":                `a; b="` + strings.Repeat(`\"`, 4<<20) + `"`,
		"semicolons in a quote": `a; b="` + strings.Repeat(`;`, 8<<20) + `"`,
		"blanks":                "a" + strings.Repeat(" ", 8<<20) + "b",
		"members":               strings.Repeat("a,", 4<<20),
		"parameters":            "a" + strings.Repeat(";b", 4<<20),
	} {
		linear(t, what, func() {
			if _, err := handshake.ParseExtensions(nil, in); err == nil || len(err.Error()) > 300 {
				t.Errorf("%s: error %.300v", what, err)
			}
		})
	}
	for _, c := range []struct {
		in string
		ok bool
	}{
		{strings.Repeat("a,", 128), true},
		{strings.Repeat("a,", 129), false},
		{"a" + strings.Repeat(";b", 127), true},
		{"a" + strings.Repeat(";b", 128), false},
	} {
		if _, err := handshake.ParseExtensions(nil, c.in); (err == nil) != c.ok {
			t.Errorf("%d bytes %.8q: %v", len(c.in), c.in, err)
		}
	}
}

func TestExtensionsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, want := range []string{"foo", "foo; a; b=1; c", "permessage-deflate; client_max_window_bits=15"} {
		list, err := handshake.ParseExtensions(nil, want)
		check.Must(t, err)
		if got := handshake.AppendExtension([]byte("x, "), list[0]); string(got) != "x, "+want {
			t.Errorf("AppendExtension = %q, want %q", got, want)
		}
	}
	if got := handshake.AppendExtension(nil, extension("a", handshake.Param{Name: "b", Value: "1"})); string(got) != "a; b=1" {
		t.Errorf("a value without HasValue is written as %q", got)
	}
}

// T-D17
func TestInvalidExtensionsAreNotWritten(t *testing.T) {
	for _, e := range []handshake.Extension{
		{}, extension("a b"), extension("a\r\nX: y"), extension("a", flag("")), extension("a", flag("b;c")),
		extension("a", param("b", "")), extension("a", param("b", "c d")), extension("a", param("b", "c\r\nX: y")),
		extension("a", handshake.Param{Name: "b", Value: "\x00"}),
	} {
		if got := handshake.AppendExtension([]byte("kept"), e); string(got) != "kept" {
			t.Errorf("AppendExtension of %+v wrote %q", e, got)
		}
	}
}
