package main

import (
	"errors"
	"net/http"

	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
)

// compressionFlag is how messages are compressed. The zero value is "on".
type compressionFlag string

const compressionUsage = "compress messages (permessage-deflate): `mode` on, off, or no-takeover, which compresses\neach message by itself"

func (c *compressionFlag) String() string {
	if *c == "" {
		return "on"
	}
	return string(*c)
}

func (c *compressionFlag) Set(text string) error {
	switch text {
	case "on", "off", "no-takeover":
		*c = compressionFlag(text)
		return nil
	}
	return errors.New("it must be on, off or no-takeover")
}

// choices are the values for the completion of shells.
func (c *compressionFlag) choices() []string { return []string{"on", "off", "no-takeover"} }

// deflate returns the compression, nil if it is off.
func (c compressionFlag) deflate() *permessage.Deflate {
	switch c {
	case "off":
		return nil
	case "no-takeover":
		return &permessage.Deflate{Mode: permessage.NoContextTakeover}
	}
	return new(permessage.Deflate)
}

// saved is the effect of compression in both directions.
type saved struct {
	Messages uint64 `json:"messages"` // compressed ones
	Encoded  uint64 `json:"encoded"`  // bytes of their payload
	Decoded  uint64 `json:"decoded"`  // the same without compression
}

// savedStats returns a handler of the page's requests for the effect of
// compression on the connections of s.
func savedStats(s *server.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := s.Stats()
		sendJSON(w, saved{
			Messages: st.Received.Compressed + st.Sent.Compressed,
			Encoded:  st.Received.EncodedBytes + st.Sent.EncodedBytes,
			Decoded:  st.Received.DecodedBytes + st.Sent.DecodedBytes,
		})
	})
}
