// Package corpus is the golden corpus: RFC 6455, Sections 5 to 8, as bytes and
// events. A script is a dialogue of an endpoint with its peer and its
// application. The engine, the client and the server must follow every script,
// for all cuts of the input.
//
// The scripts are the text files in this folder, one for each group of rules. A
// title names, in brackets, the requirements that the script exercises.
//
//	== a Ping between two fragments [6455-5.4-b 6455-5.5.2-a]
//	# the rule, and the mistake that the script finds
//	role client
//	in    01 03 "Hel"             # FIN=0 text
//	in    89 00                   # Ping
//	event ping
//	out   8a 80 00000000          # Pong; the masking key of a client is ignored
//	in    80 02 "lo"
//	event message text "Hello"
//
// # Lines
//
// A script begins with its head, each line at most once:
//
//	role client|server|both       the endpoint under test, not its peer
//	limit frame N|none            payload bytes of a frame; otherwise the default
//	limit message N|none          payload bytes of a message; otherwise the default
//	partial                       messages are delivered in pieces
//
// A script of role both is written for the client and stands for two scripts:
// for the server every frame of in gets the mask bit and the masking key
// 00000000, and for the client every frame of out does.
//
// Then follow actions:
//
//	in BYTES                      bytes from the peer
//	eof                           the peer's transport ends
//	send text|binary BYTES        calls by the application
//	fragment text|binary more|final BYTES
//	ping BYTES
//	pong BYTES
//	close CODE "reason"           code 0: a Close frame without payload
//
// each with its results:
//
//	event message text|binary BYTES
//	event partial text|binary more|final BYTES
//	event ping BYTES
//	event pong BYTES
//	event close CODE "reason"     the peer closed; 1005: without a code
//	event fail CODE               the endpoint failed the connection
//	event lost 1006               the transport ended without a closing handshake
//	out BYTES                     whole frames; a client's with the masking key 00000000
//	out close CODE                a Close frame with that code and any reason
//	state open|closesent|closed
//
// Consecutive lines of in are one group, which may be cut anywhere. The results
// after the group are due with its last byte, without a further byte, in the
// order of the events and in the order of the outs, and are complete. A line of
// state, which may stand alone, ends a group.
//
// A call whose line ends with the word error must fail, write nothing and
// change nothing.
//
// BYTES are any number of hexadecimal pieces and Go strings, each of which may
// be repeated: 82 7e 0100, "é\n", 00*65536, "ab"*100. A # begins a comment.
package corpus

import (
	"embed"
	"fmt"
)

//go:embed *.txt
var files embed.FS

// Scripts parses the whole corpus, in the order of the file names. A script
// of role both is two scripts, the client's first.
func Scripts() ([]*Script, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	var scripts []*Script
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("corpus: %w", err)
		}
		parsed, err := Parse(e.Name(), string(text))
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, parsed...)
	}
	return scripts, nil
}

// Seeds returns the input of each script for the role r, as seeds for a fuzzer
// of that role's receiver. It omits inputs over max bytes.
func Seeds(r Role, max int) ([][]byte, error) {
	scripts, err := Scripts()
	if err != nil {
		return nil, err
	}
	var seeds [][]byte
	for _, s := range scripts {
		if in := s.Input(); s.Role == r && len(in) > 0 && len(in) <= max {
			seeds = append(seeds, in)
		}
	}
	return seeds, nil
}
