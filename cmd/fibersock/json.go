package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"unicode/utf16"
	"unicode/utf8"
)

// writeJSONLine writes v as a line of JSON.
func writeJSONLine(w io.Writer, v any) error { return writeIndented(w, v, "") }

// writeJSON writes v as JSON in several lines.
func writeJSON(w io.Writer, v any) error { return writeIndented(w, v, "  ") }

func writeIndented(w io.Writer, v any, indent string) error {
	text, err := marshalJSON(v, indent)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// marshalJSON returns v as JSON with a line end: one line if indent is empty.
// Text of a peer in v is escaped for a terminal.
func marshalJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return escapeJSON(b.Bytes()), nil
}

// escapeJSON writes, in JSON, the characters that escape replaces in JSON's \u
// form. They occur in strings only, except for the ends of lines, which stay,
// so the value is the same.
func escapeJSON(text []byte) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || harmless(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// sendJSON answers with v. It fails only if the browser has closed the
// connection.
func sendJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}
