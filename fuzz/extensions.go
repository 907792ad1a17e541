package fuzz

import (
	"errors"

	"github.com/fibersock/fibersock/handshake"
)

// Extensions reads data as the value of a Sec-WebSocket-Extensions field.
// handshake.ParseExtensions must find the extensions that the grammar of RFC
// 6455, Section 9.1 defines, and parse a list of handshake.AppendExtension to
// the same extensions.
func Extensions(data []byte) int {
	value := string(data)
	before := []handshake.Extension{{Name: "before"}}
	got, err := handshake.ParseExtensions(before, value)
	list := got[1:]
	want, ok := readExtensions(value)
	ok = ok && countParts(want) <= maxMembers
	if (err == nil) != ok || ok && !sameExtensions(list, want) {
		violated("a list of extensions is read as the grammar has it", "%q\n got %+v, %v\nwant %+v, %v", value, list, err, want, ok)
	}
	if err != nil {
		var malformed *handshake.ExtensionError
		if len(list) > 0 || !errors.As(err, &malformed) {
			violated("a bad list yields an *ExtensionError and nothing else", "%q: %+v, %v", value, list, err)
		}
		return dull
	}
	var b []byte
	for i, e := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = handshake.AppendExtension(b, e)
	}
	again, err := handshake.ParseExtensions(nil, string(b))
	if err != nil || !sameExtensions(again, list) {
		violated("a list of extensions that is written is read back", "%q as %q: %+v, %v; want %+v", value, b, again, err, list)
	}
	return worth(len(list) > 0)
}
