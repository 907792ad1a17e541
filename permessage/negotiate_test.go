package permessage_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/permessage"
)

// parse returns the members of an extension list, which is valid.
func parse(t *testing.T, list string) []handshake.Extension {
	t.Helper()
	extensions, err := handshake.ParseExtensions(nil, list)
	if err != nil {
		t.Fatal(err)
	}
	return extensions
}

// text returns a list of extensions as in a header field.
func text(list []handshake.Extension) string {
	var members []string
	for _, e := range list {
		members = append(members, string(handshake.AppendExtension(nil, e)))
	}
	return strings.Join(members, ", ")
}

var (
	defaults   = &permessage.Deflate{}
	whole      = &permessage.Deflate{WindowBits: 15}
	small      = &permessage.Deflate{WindowBits: 9}
	noTakeover = &permessage.Deflate{Mode: permessage.NoContextTakeover}
)

// The answer accepts the first valid offer and repeats its parameters, with
// windows no larger than offered and configured.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		rule         string
		deflate      *permessage.Deflate
		offers, want string
	}{
		{rule: "Chromium and Firefox", deflate: defaults, offers: "permessage-deflate; client_max_window_bits", want: "permessage-deflate; client_max_window_bits=12"},
		{rule: "7692-7.1.2.2-a no client_max_window_bits unasked", deflate: defaults, offers: "permessage-deflate", want: "permessage-deflate; client_no_context_takeover"},
		{rule: "7692-7.1.2.2-a nor with the whole window", deflate: whole, offers: "permessage-deflate", want: "permessage-deflate"},
		{rule: "19.4 the whole window", deflate: whole, offers: "permessage-deflate; client_max_window_bits", want: "permessage-deflate"},
		{rule: "19.4 server_max_window_bits=15", deflate: whole, offers: "permessage-deflate; server_max_window_bits=15", want: "permessage-deflate; server_max_window_bits=15"},
		{rule: "7692-7.1.2.1-a the same value", deflate: whole, offers: "permessage-deflate; server_max_window_bits=10", want: "permessage-deflate; server_max_window_bits=10"},
		{rule: "7692-7.1.2.1-a a smaller value", deflate: small, offers: "permessage-deflate; server_max_window_bits=10; client_max_window_bits", want: "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"},
		{rule: "7692-7.1.2.1-a, 7692-7.1.2-e 8 if the client asks for it", deflate: defaults, offers: "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8", want: "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"},
		{rule: "7692-7.1.2.2-c not above the offer's value", deflate: defaults, offers: "permessage-deflate; client_max_window_bits=10", want: "permessage-deflate; client_max_window_bits=10"},
		{rule: "7692-7.1.2.2-c nor above our own", deflate: defaults, offers: "permessage-deflate; client_max_window_bits=15", want: "permessage-deflate; client_max_window_bits=12"},
		{rule: "7692-7.1.1.1-a repeated", deflate: whole, offers: "permessage-deflate; server_no_context_takeover", want: "permessage-deflate; server_no_context_takeover"},
		{rule: "7692-7.1.1.2-b the hint is answered", deflate: whole, offers: "permessage-deflate; client_no_context_takeover", want: "permessage-deflate; client_no_context_takeover"},
		{rule: "gorilla and coder", deflate: defaults, offers: "permessage-deflate; server_no_context_takeover; client_no_context_takeover", want: "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{rule: "7692-7.1.1.1-b unasked, if configured", deflate: noTakeover, offers: "permessage-deflate; client_max_window_bits", want: "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12"},
		{rule: "Python's websockets", deflate: defaults, offers: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", want: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
		{rule: "a quoted value", deflate: defaults, offers: `permessage-deflate; server_max_window_bits="10"; client_max_window_bits`, want: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12"},
		{rule: "names without regard to case", deflate: whole, offers: "PerMessage-Deflate; Server_Max_Window_Bits=11", want: "permessage-deflate; server_max_window_bits=11"},
		{rule: "7692-5-b the first valid one", deflate: whole, offers: "permessage-deflate; foo=1, foo, permessage-deflate; server_max_window_bits=11, permessage-deflate", want: "permessage-deflate; server_max_window_bits=11"},
		{rule: "7692-5-b no offer", deflate: defaults, offers: "", want: ""},
		{rule: "7692-5-b another extension", deflate: defaults, offers: "x-webkit-deflate-frame, foo; a=1", want: ""},
		{rule: "7692-7.1.2-e configured", deflate: &permessage.Deflate{WindowBits: 8}, offers: "permessage-deflate; client_max_window_bits", want: "permessage-deflate; client_max_window_bits=8"},
		{rule: "WindowBits below the least", deflate: &permessage.Deflate{WindowBits: -1}, offers: "permessage-deflate; client_max_window_bits", want: "permessage-deflate; client_max_window_bits=8"},
		{rule: "WindowBits above the greatest", deflate: &permessage.Deflate{WindowBits: 99}, offers: "permessage-deflate; client_max_window_bits=15", want: "permessage-deflate; client_max_window_bits=15"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			answer := c.deflate.Answer(parse(t, c.offers))
			if got := text(answer); got != c.want {
				t.Fatalf("%q is answered with %q, want %q", c.offers, got, c.want)
			}
			agreed, err := c.deflate.Accepted(answer)
			if err != nil || (agreed == nil) != (c.want == "") {
				t.Errorf("the answer is accepted with %v, %v", agreed, err)
			}
		})
	}
}

// invalid are parameters that neither an offer nor an answer can have.
var invalid = []struct{ rule, params string }{
	{"7692-7-a unknown", "foo"},
	{"7692-7-a unknown, beside known ones", "client_max_window_bits=10; foo=1"},
	{"7692-7-a a side only", "server_"},
	{"7692-7-b too small", "server_max_window_bits=7"},
	{"7692-7-b too large", "server_max_window_bits=16"},
	{"7692-7-b, T-B04 much too large", "server_max_window_bits=1000"},
	{"7692-7-b leading zero", "server_max_window_bits=08"},
	{"7692-7-b leading zero of two digits", "server_max_window_bits=010"},
	{"7692-7-b sign", "server_max_window_bits=+9"},
	{"7692-7-b negative", "server_max_window_bits=-9"},
	{"7692-7-b the server's is bare", "server_max_window_bits"},
	{"7692-7-b, 7692-7.1.2.2-b too small", "client_max_window_bits=7"},
	{"7692-7-b, 7692-7.1.2.2-b too large", "client_max_window_bits=16"},
	{"7692-7-b no number", "client_max_window_bits=abc"},
	{"7692-7-b more than a number", "client_max_window_bits=10a"},
	{"7692-7-b, 7692-7.1.1.1-c a value", "server_no_context_takeover=1"},
	{"7692-7-b, 7692-7.1.1.1-c true", "server_no_context_takeover=true"},
	{"7692-7-b a value of the client's", "client_no_context_takeover=1"},
	{"7692-7-c repeated", "server_no_context_takeover; server_no_context_takeover"},
	{"7692-7-c repeated hint", "client_no_context_takeover; client_no_context_takeover"},
	{"7692-7-c the same value twice", "server_max_window_bits=10; server_max_window_bits=10"},
	{"7692-7-c two values", "client_max_window_bits=10; client_max_window_bits=11"},
	{"7692-7-c with and without a value", "client_max_window_bits; client_max_window_bits=11"},
}

// An invalid offer is declined; the next one is accepted.
func TestInvalidOffersAreDeclined(t *testing.T) {
	for _, c := range invalid {
		t.Run(c.rule, func(t *testing.T) {
			offer := "permessage-deflate; " + c.params
			if got := defaults.Answer(parse(t, offer)); got != nil {
				t.Errorf("%q is answered with %q", offer, text(got))
			}
			offer += ", permessage-deflate; client_max_window_bits"
			if got, want := text(defaults.Answer(parse(t, offer))), "permessage-deflate; client_max_window_bits=12"; got != want {
				t.Errorf("%q is answered with %q, want %q", offer, got, want)
			}
		})
	}
}

// An offer for any window of both sides can be served (7692-7-d): the answer
// has windows no larger than asked for and configured.
func TestEveryWindowIsServed(t *testing.T) {
	for configured := 8; configured <= 15; configured++ {
		o := &permessage.Deflate{WindowBits: configured}
		for server := 8; server <= 15; server++ {
			for client := 8; client <= 15; client++ {
				offer := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", server, client)
				want := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", min(server, configured), min(client, configured))
				answer := o.Answer(parse(t, offer))
				if got := text(answer); got != want {
					t.Errorf("with %d bits, %q is answered with %q", configured, offer, got)
				}
				if _, err := o.Accepted(answer); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// A client offers the preferred parameters first, and a fallback (7692-5-a). No
// offer asks for a window of 8 bits that is not configured (7692-7.1.2-e).
func TestOffers(t *testing.T) {
	for _, c := range []struct {
		deflate *permessage.Deflate
		want    string
	}{
		{defaults, "permessage-deflate; server_max_window_bits=12; client_max_window_bits, permessage-deflate; client_max_window_bits"},
		{whole, "permessage-deflate; client_max_window_bits"},
		{small, "permessage-deflate; server_max_window_bits=9; client_max_window_bits, permessage-deflate; client_max_window_bits"},
		{noTakeover, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"},
	} {
		if got := text(c.deflate.Offers()); got != c.want {
			t.Errorf("offers %q, want %q", got, c.want)
		}
	}
}

// A client accepts answers to one of its offers only, whatever else they have
// (7692-5-c).
func TestAnswersOfServers(t *testing.T) {
	for _, c := range []struct {
		rule    string
		deflate *permessage.Deflate
		answer  string
		want    string // in the error; "": the answer is accepted
	}{
		{rule: "the preferred offer", deflate: defaults, answer: "permessage-deflate; server_max_window_bits=12"},
		{rule: "a smaller window", deflate: defaults, answer: "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9"},
		{rule: "the fallback", deflate: defaults, answer: "permessage-deflate"},
		{rule: "7692-7.1.2.1-b unasked, for the fallback", deflate: defaults, answer: "permessage-deflate; server_max_window_bits=15"},
		{rule: "7692-7.1.2.1-b unasked", deflate: whole, answer: "permessage-deflate; server_max_window_bits=10"},
		{rule: "7692-7.1.1.1-b unasked", deflate: whole, answer: "permessage-deflate; server_no_context_takeover"},
		{rule: "7692-7.1.1.2-a unasked", deflate: whole, answer: "permessage-deflate; client_no_context_takeover"},
		{rule: "gorilla", deflate: defaults, answer: "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{rule: "7692-7.1.2.2-b with a value", deflate: defaults, answer: "permessage-deflate; client_max_window_bits=15"},
		{rule: "without regard to case", deflate: defaults, answer: "Permessage-Deflate; Client_Max_Window_Bits=15"},
		{rule: "no takeover", deflate: noTakeover, answer: "permessage-deflate; server_no_context_takeover; client_max_window_bits=10"},
		{rule: "7692-7.1.1.1-a not repeated", deflate: noTakeover, answer: "permessage-deflate; client_no_context_takeover", want: "server_no_context_takeover was offered and is missing"},
		{rule: "7692-7.1.2.2-b bare", deflate: defaults, answer: "permessage-deflate; client_max_window_bits", want: "has no value"},
		{rule: "bare", deflate: defaults, answer: "permessage-deflate; server_max_window_bits", want: "has no value"},
		{rule: "7692-5-d twice", deflate: defaults, answer: "permessage-deflate, permessage-deflate", want: "one extension"},
		{rule: "another one too", deflate: defaults, answer: "permessage-deflate, foo", want: "one extension"},
		{rule: "another one", deflate: defaults, answer: "foo", want: "is not permessage-deflate"},
		{rule: "a peer's text is quoted and cut", deflate: defaults, answer: "permessage-deflate; " + strings.Repeat("x", 10_000), want: `"` + strings.Repeat("x", 100) + `" is unknown`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			agreed, err := c.deflate.Negotiated(parse(t, c.answer))
			if c.want == "" {
				if err != nil || agreed == nil {
					t.Errorf("%q: %v", c.answer, err)
				}
				return
			}
			checkRefused(t, c.answer, agreed, err, c.want)
		})
	}
	if agreed, err := defaults.Negotiated(nil); agreed != nil || err != nil {
		t.Errorf("no answer is accepted with %v, %v", agreed, err)
	}
}

// A side with NoContextTakeover uses no earlier message, also if the answer
// does not say so: a server may answer without client_no_context_takeover, and
// the client has said that it will not (RFC 7692, Section 7.1.1.2).
func TestNoContextTakeoverIsKept(t *testing.T) {
	for role, agree := range map[endpoint.Role]func([]handshake.Extension) (endpoint.Compression, error){
		endpoint.Client: noTakeover.Negotiated,
		endpoint.Server: noTakeover.Accepted,
	} {
		compression, err := agree(parse(t, "permessage-deflate; server_no_context_takeover"))
		if err != nil {
			t.Fatal(err)
		}
		var sent bytes.Buffer
		e := endpoint.New(&sent, endpoint.Config{Role: role, Compression: compression})
		var sizes []int
		for range 2 {
			sent.Reset()
			if err := e.SendText(strings.Repeat(tick(1), 3)); err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, sent.Len())
		}
		if sizes[0] != sizes[1] {
			t.Errorf("role %v: the same text has %d bytes, and then %d", role, sizes[0], sizes[1])
		}
	}
}

// 7692-7-e: an answer with a parameter that is unknown, repeated or has an
// invalid value is refused.
func TestInvalidAnswersAreRefused(t *testing.T) {
	for _, c := range invalid {
		t.Run(c.rule, func(t *testing.T) {
			answer := "permessage-deflate; " + c.params
			for _, o := range []*permessage.Deflate{defaults, whole} {
				agreed, err := o.Negotiated(parse(t, answer))
				checkRefused(t, answer, agreed, err, "")
			}
			var unsendable *handshake.FieldError
			if _, err := defaults.Accepted(parse(t, answer)); !errors.As(err, &unsendable) {
				t.Errorf("a server may send %q: %v", answer, err)
			}
		})
	}
}

// The client that has offered server_max_window_bits=n accepts neither more nor
// none (7692-7.1.2.1-c), unless another of its offers is accepted.
func TestWindowOfTheServer(t *testing.T) {
	for _, c := range []struct {
		offer, answer string
		legal         bool
	}{
		{"permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10", true},
		{"permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=9", true},
		{"permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=12", false},
		{"permessage-deflate; server_max_window_bits=10", "permessage-deflate", false},
		{"permessage-deflate", "permessage-deflate; server_max_window_bits=15", true},
		{"permessage-deflate", "permessage-deflate; client_max_window_bits=15", false}, // 7692-7.1.2.2-a
		{"permessage-deflate; client_max_window_bits=12", "permessage-deflate; client_max_window_bits=13", false},
		{"permessage-deflate; client_max_window_bits=12", "permessage-deflate; client_max_window_bits=11", true},
		{"permessage-deflate; server_no_context_takeover", "permessage-deflate", false},
	} {
		if err := permessage.CheckAnswer(parse(t, c.answer), parse(t, c.offer)); (err == nil) != c.legal {
			t.Errorf("%q answers %q: %v", c.answer, c.offer, err)
		}
	}
}

func checkRefused(t *testing.T, answer string, agreed any, err error, want string) {
	t.Helper()
	var refused *handshake.ResponseError
	if !errors.As(err, &refused) || refused.Field != "Sec-WebSocket-Extensions" || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
		t.Errorf("%q is accepted with %v, %v", answer, agreed, err)
	}
}
