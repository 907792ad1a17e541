package corpus

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

func TestEveryLineOfAScriptIsUnderstood(t *testing.T) {
	const text = `# before the first script
== all lines [6455-5.4-b 6455-5.5.2-a]
role client   # the endpoint under test
limit frame 10
limit message none
partial
in    01 03 "Hel"             # a "quoted" comment
in    89 00
event ping
out   8a 80 00000000
out   close 1002
state open
send text "é\n" 00*3
send binary error
fragment binary more "ab"*2
fragment text final
ping 0102*2
pong "p"
close 1000 "bye"
close 70000 error
in    8801
event message binary "m"
event partial text more "p"
event partial binary final
event pong "q"
event close 1005
event close 1000 "why"
event fail 1009
eof
event lost 1006
`
	steps := []Step{
		{
			Line: 7, Action: Action{Kind: Input, Bytes: []byte("\x01\x03Hel\x89\x00")},
			Events: []Event{{Line: 9, Kind: Ping}},
			Out:    []Frame{{Line: 10, Bytes: []byte("\x8a\x80\x00\x00\x00\x00")}, {Line: 11, CloseCode: 1002}},
			State:  Open,
		},
		{Line: 13, Action: Action{Kind: SendMessage, Opcode: wire.Text, Bytes: []byte("é\n\x00\x00\x00")}},
		{Line: 14, Action: Action{Kind: SendMessage, Opcode: wire.Binary, Refused: true}},
		{Line: 15, Action: Action{Kind: SendFragment, Opcode: wire.Binary, Bytes: []byte("abab")}},
		{Line: 16, Action: Action{Kind: SendFragment, Opcode: wire.Text, Final: true}},
		{Line: 17, Action: Action{Kind: SendPing, Bytes: []byte{1, 2, 1, 2}}},
		{Line: 18, Action: Action{Kind: SendPong, Bytes: []byte("p")}},
		{Line: 19, Action: Action{Kind: SendClose, Code: 1000, Reason: "bye"}},
		{Line: 20, Action: Action{Kind: SendClose, Code: 70000, Refused: true}},
		{
			Line: 21, Action: Action{Kind: Input, Bytes: []byte{0x88, 0x01}},
			Events: []Event{
				{Line: 22, Kind: Message, Opcode: wire.Binary, Payload: []byte("m")},
				{Line: 23, Kind: Partial, Opcode: wire.Text, Payload: []byte("p")},
				{Line: 24, Kind: Partial, Opcode: wire.Binary, Final: true},
				{Line: 25, Kind: Pong, Payload: []byte("q")},
				{Line: 26, Kind: Close, Code: 1005},
				{Line: 27, Kind: Close, Code: 1000, Reason: "why"},
				{Line: 28, Kind: Fail, Code: 1009},
			},
		},
		{Line: 29, Action: Action{Kind: EOF}, Events: []Event{{Line: 30, Kind: Lost, Code: 1006}}},
	}
	got, err := Parse("x.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	want := &Script{
		File: "x.txt", Line: 2, Name: "all lines", Rules: []string{"6455-5.4-b", "6455-5.5.2-a"}, Role: Client,
		FrameLimit: 10, MessageLimit: NoLimit, Partial: true, Steps: steps,
	}
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got\n%+v\nwant\n%+v", got[0], want)
	}
}

// A script with a likely mistake is an error at its line, never a script that
// tests less.
func TestMalformedScriptIsRefusedWithFileAndLine(t *testing.T) {
	const head = "== name [6455-5.2-a]\nrole client\n" // two lines
	tests := []struct{ name, text, want string }{
		{"no script", "role client\n", "x.txt:1: the file begins without"},
		{"no name", "== [6455-5.2-a]\n", "x.txt:1: script without a name"},
		{"no requirements", "== name\n", "x.txt:1: script without its requirements"},
		{"empty requirements", "== name []\n", "x.txt:1: script without its requirements"},
		{"open bracket", "== name [6455-5.2-a\n", "x.txt:1: script without its requirements"},
		{"same name", head + "eof\n== name [6455-5.2-b]\n", "x.txt:4: a script of this name begins at line 1"},
		{"nothing happens", head, `x.txt:3: in the script "name" before nothing happens`},
		{"nothing happens before the next", head + "== other [6455-5.2-a]\n", `x.txt:3: in the script "name" before nothing happens`},
		{"no role", "== name [6455-5.2-a]\nin 81\n", "x.txt:2: something happens before the role"},
		{"second role", head + "role server\n", "x.txt:3: second line of role"},
		{"unknown role", "== name [6455-5.2-a]\nrole proxy\n", `x.txt:2: role "proxy"`},
		{"quoted role", "== name [6455-5.2-a]\nrole \"client\"\n", "x.txt:2: role"},
		{"role and more", "== name [6455-5.2-a]\nrole client server\n", `x.txt:2: "server" is too much`},
		{"late limit", head + "eof\nlimit frame 5\n", "x.txt:4: limit stands after"},
		{"unknown limit", head + "limit header 5\n", `x.txt:3: limit of "header"`},
		{"no number", head + "limit frame many\n", `x.txt:3: limit "many"`},
		{"limit of zero", head + "limit frame 0\n", `x.txt:3: limit "0"`},
		{"second limit", head + "limit frame 1\nlimit frame 2\n", "x.txt:4: second line of limit frame"},
		{"partial and more", head + "partial text\n", `x.txt:3: "text" is too much`},
		{"unknown line", head + "recv 81\n", `x.txt:3: unknown line "recv"`},
		{"bytes alone", head + "\"81\"\n", "x.txt:3: the line begins with bytes"},
		{"half a byte", head + "in 810\n", `x.txt:3: "810" is neither hexadecimal`},
		{"no hexadecimal", head + "in zz\n", `x.txt:3: "zz" is neither hexadecimal`},
		{"open string", head + "in \"abc\n", "x.txt:3: string that does not end"},
		{"bad escape", head + `in "\q"`, "x.txt:3: string that does not end or has a bad escape"},
		{"bad repeat", head + "in 00*x\n", `x.txt:3: repeat count "x"`},
		{"repeat of zero", head + "in 00*0\n", `x.txt:3: repeat count "0"`},
		{"huge repeat", head + "in 00*9999999\n", `x.txt:3: repeat count "9999999"`},
		{"huge line", head + "in 0000*1000000\n", "x.txt:3: more than 1048576 bytes"},
		{"repeat of nothing", head + "in *5\n", `x.txt:3: "" is neither hexadecimal`},
		{"empty in", head + "in # nothing\n", "x.txt:3: in without bytes"},
		{"in after eof", head + "eof\nin 81\n", "x.txt:4: in after eof"},
		{"second eof", head + "eof\neof\n", "x.txt:4: second eof"},
		{"eof and more", head + "eof 81\n", `x.txt:3: "81" is too much`},
		{"unknown type", head + "send ping 00\n", `x.txt:3: type "ping"`},
		{"no extent", head + "fragment text 00\n", `x.txt:3: "00" is not more or final`},
		{"no code", head + "close \"bye\"\n", `x.txt:3: status code ""`},
		{"negative code", head + "close -1\n", `x.txt:3: status code "-1"`},
		{"reason in hexadecimal", head + "close 1000 00\n", "x.txt:3: want one string"},
		{"two reasons", head + "close 1000 \"a\" \"b\"\n", "x.txt:3: want one string"},
		{"event of nothing", head + "event ping\n", "x.txt:3: event before anything has happened"},
		{"out of nothing", head + "out 8900\n", "x.txt:3: out before anything has happened"},
		{"unknown event", head + "eof\nevent open\n", `x.txt:4: unknown event "open"`},
		{"event without type", head + "eof\nevent message \"a\"\n", `x.txt:4: type ""`},
		{"lost with another code", head + "eof\nevent lost 1000\n", "x.txt:4: lost has the code 1000"},
		{"fail without code", head + "eof\nevent fail\n", `x.txt:4: status code ""`},
		{"event of a refused call", head + "ping error\nevent pong\n", "x.txt:4: event of a call that must be refused"},
		{"out of a refused call", head + "ping error\nout 898000000000\n", "x.txt:4: out of a call that must be refused"},
		{"half a frame", head + "ping\nout 8980\n", "x.txt:4: out is not made of whole frames"},
		{"no frame", head + "ping\nout\n", "x.txt:4: out is not made of whole frames"},
		{"client's frame without mask", head + "ping\nout 8900\n", "x.txt:4: a client's frames have the masking key"},
		{"client's frame with a real key", head + "ping\nout 898001020304\n", "x.txt:4: a client's frames have the masking key"},
		{"server's frame with mask", "== name [6455-5.2-a]\nrole server\nping\nout 898000000000\n", "x.txt:4: a client's frames have the masking key"},
		{"out close without code", head + "eof\nout close\n", `x.txt:4: status code ""`},
		{"out close of zero", head + "eof\nout close 0\n", "x.txt:4: out close wants a code"},
		{"out close with reason", head + "eof\nout close 1000 \"a\"\n", `x.txt:4: "a" is too much`},
		{"unknown state", head + "eof\nstate closing\n", `x.txt:4: state "closing"`},
		{"second state", head + "eof\nstate closed\nstate closed\n", "x.txt:5: second state"},
		{"masked in of both", "== name [6455-5.2-a]\nrole both\nin 818000000000\n", "x.txt:4: the script \"name\" before: in at line 3: a frame of a script of role both has the mask bit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scripts, err := Parse("x.txt", tt.text)
			if err == nil {
				t.Fatalf("got %d scripts, want an error that begins with %q", len(scripts), tt.want)
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %q, want an error that begins with %q", err, tt.want)
			}
		})
	}
}

// A script of role both is written as the client has it, and the server's form
// differs in the masks only.
func TestScriptOfBothRolesIsMaskedForEach(t *testing.T) {
	const text = `== name [6455-5.1-a]
role both
in 01 05 "Hel"
state open
in "lo" 89
in 00
out 8a 00 81 01 "x"
out close 1000
in 80 7e 0001 "y" 82 7f 0000000000000002 "z"
in "z" 82
state open
in 7f ffffffffffffffff
`
	got, err := Parse("x.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Role != Client || got[1].Role != Server {
		t.Fatalf("got %v", got)
	}
	const k = "\x00\x00\x00\x00"
	client := []string{
		"\x01\x05Hel",
		"lo\x89\x00",
		"\x80\x7e\x00\x01y\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x02zz\x82",
		"\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	}
	server := []string{
		"\x01\x85" + k + "Hel",
		"lo\x89\x80" + k,
		"\x80\xfe\x00\x01" + k + "y\x82\xff\x00\x00\x00\x00\x00\x00\x00\x02" + k + "zz\x82",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff" + k,
	}
	for i := range client {
		if in := got[0].Steps[i].Action.Bytes; string(in) != client[i] {
			t.Errorf("step %d: the client gets % x, want % x", i, in, client[i])
		}
		if in := got[1].Steps[i].Action.Bytes; string(in) != server[i] {
			t.Errorf("step %d: the server gets % x, want % x", i, in, server[i])
		}
	}
	for role, want := range []string{"\x8a\x80" + k + "|\x81\x81" + k + "x|", "\x8a\x00|\x81\x01x|"} {
		var out []string
		for _, f := range got[role].Steps[1].Out {
			out = append(out, string(f.Bytes))
		}
		if s := strings.Join(out, "|"); s != want {
			t.Errorf("the %v writes %q, want %q", got[role].Role, s, want)
		}
	}
}
