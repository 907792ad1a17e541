package handshake_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// However a head is cut up, the outcome is the same.
func FuzzHeadsAreReadAlikeWholeAndInPieces(f *testing.F) {
	f.Add([]byte(head(requestLine, requestFields...)+"rest"), uint8(7))
	f.Add([]byte(head(switching, responseFields...)+"rest"), uint8(1))
	for _, c := range malformed {
		f.Add([]byte(strings.NewReplacer("«", "", "»", "").Replace(c.head)), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		checkSplits(t, b, 1+int(size))
	})
}

// What is appended is read back as it was, or is not appended at all.
func FuzzOffersAreReadBack(f *testing.F) {
	f.Add("h", "/", "chat", "foo", "x", "1", "Origin", "http://h")
	f.Add("[::1]:81", "/a?b", "", "", "", "", "X-A", "ü")
	f.Add("h\r\nX: y", "/\n", "a b", "a;b", " ", "\x00", "Host", "\r\n\r\n")
	f.Fuzz(func(t *testing.T, host, target, subprotocol, name, parameter, value, field, content string) {
		o := &handshake.Offer{Host: host, Target: target, Key: sampleKey, Header: map[string][]string{field: {content}}}
		if subprotocol != "" {
			o.Subprotocols = []string{subprotocol}
		}
		if name != "" {
			o.Extensions = extensions{extension(name, param(parameter, value))}
		}
		b, err := handshake.AppendRequest(nil, o)
		if err != nil {
			if len(b) > 0 {
				t.Fatalf("%v, but %q was appended", err, b)
			}
			return
		}
		p := handshake.RequestParser{Limits: handshake.Limits{Bytes: len(b)}}
		r, n, err := p.Parse(b)
		if len(target) > 8000 {
			return // our own server refuses it with 414
		}
		if err != nil || n != len(b) {
			t.Fatalf("%q is not read back: %d of %d bytes, %v", b, n, len(b), err)
		}
		u, err := handshake.ValidateRequest(r)
		if strings.EqualFold(field, "Expect") {
			return // may be sent, but is refused
		}
		if err != nil || r.Target != target || r.Host() != host || u.Key != sampleKey ||
			!reflect.DeepEqual(u.Subprotocols, o.Subprotocols) || !reflect.DeepEqual(u.Extensions, o.Extensions) ||
			r.Header.Get(field) != strings.Trim(content, " \t") || r.Header.Count(field) != 1 {
			t.Fatalf("%+v is read back from %q as %+v, %+v, %v", o, b, r, u, err)
		}
	})
}

// An accepted list is the same list when it is written and read again.
func FuzzExtensionListsAreReadBack(f *testing.F) {
	for _, s := range []string{"", "foo", "a; b=1; c, a", `a; b="\1\0"`, `a; b="c,d"`, ";=", ",, a ,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		list, err := handshake.ParseExtensions(nil, in)
		if err != nil {
			var malformed *handshake.ExtensionError
			if len(list) > 0 || !errors.As(err, &malformed) {
				t.Fatalf("%+v, %v", list, err)
			}
			return
		}
		var b []byte
		for _, e := range list {
			b = append(handshake.AppendExtension(b, e), ',')
		}
		again, err := handshake.ParseExtensions(nil, string(b))
		if err != nil || !reflect.DeepEqual(again, list) {
			t.Fatalf("%q: %+v is read back from %q as %+v, %v", in, list, b, again, err)
		}
	})
}

// What ParseURL accepts can be sent and is the same URI when it is written again.
func FuzzURIsAreReadBack(f *testing.F) {
	for _, s := range []string{"ws://h", "WSS://u:p@H:81/a b?%2f", "ws://[fe80::1%25Eth0]:81/?", "http://h/ü", "ws://h#", "ws://h:0/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		u, err := handshake.ParseURL(in)
		if err != nil {
			return
		}
		u.User = nil
		if again, err := handshake.ParseURL(u.String()); err != nil || again != u {
			t.Fatalf("%q: %+v is read back from %q as %+v, %v", in, u, u.String(), again, err)
		}
		o := handshake.Offer{Host: u.HostHeader(), Target: u.Target, Key: sampleKey}
		if _, err := handshake.AppendRequest(nil, &o); err != nil {
			t.Fatalf("%q cannot be sent: %v", in, err)
		}
	})
}
