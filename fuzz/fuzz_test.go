package fuzz_test

import (
	"testing"

	"github.com/fibersock/fibersock/fuzz"
)

func FuzzHeader(f *testing.F)       { hook(f, fuzz.Header) }
func FuzzFrames(f *testing.F)       { hook(f, fuzz.Frames) }
func FuzzMask(f *testing.F)         { hook(f, fuzz.Mask) }
func FuzzUTF8(f *testing.F)         { hook(f, fuzz.UTF8) }
func FuzzClosePayload(f *testing.F) { hook(f, fuzz.ClosePayload) }
func FuzzStream(f *testing.F)       { hook(f, fuzz.Stream) }

func FuzzDialogue(f *testing.F)   { hook(f, fuzz.Dialogue) }
func FuzzRequest(f *testing.F)    { hook(f, fuzz.Request) }
func FuzzResponse(f *testing.F)   { hook(f, fuzz.Response) }
func FuzzExtensions(f *testing.F) { hook(f, fuzz.Extensions) }
func FuzzURL(f *testing.F)        { hook(f, fuzz.URL) }
func FuzzOpening(f *testing.F)    { hook(f, fuzz.Opening) }
func FuzzSockets(f *testing.F)    { hook(f, fuzz.Sockets) }

func hook(f *testing.F, target func([]byte) int) {
	f.Add([]byte("\x81\x05Hello"))
	f.Fuzz(func(t *testing.T, data []byte) { target(data) })
}
