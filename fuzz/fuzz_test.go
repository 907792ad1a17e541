package fuzz_test

import (
	"os"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/fuzz"
)

// Each line hooks a target to go test. The seeds are under testdata.

// 6455-5.2-e, 6455-5.2-f, 6455-5.2-g, 6455-5.2-h, 6455-5.2-j, 6455-5.2-l, T-A03, T-H11.
func FuzzHeader(f *testing.F) { hook(f, fuzz.Header) }

// 6455-5.2-l, T-A14, T-H11.
func FuzzFrames(f *testing.F) { hook(f, fuzz.Frames) }

// 6455-5.3-c, T-A14.
func FuzzMask(f *testing.F) { hook(f, fuzz.Mask) }

// 6455-8.1-b, 6455-8.1-c, 6455-8.1-d, T-H11.
func FuzzUTF8(f *testing.F) { hook(f, fuzz.UTF8) }

// 6455-5.5.1-a, 6455-5.5.1-b, 6455-7.4-d, T-H11.
func FuzzClosePayload(f *testing.F) { hook(f, fuzz.ClosePayload) }

// 6455-5.2-l, 6455-7.1.7-b, 6455-8.1-d, 6455-8.1-e, 6455-10.7-a, T-A06, T-A14, T-C12, T-H11.
func FuzzStream(f *testing.F) { hook(f, fuzz.Stream) }

// 7692-6-a, 7692-6-e, 7692-7.2.2-b, 7692-7.2.2-d, 7692-7.2.2-e, T-B09, T-H11.
func FuzzCompressed(f *testing.F) { hook(f, fuzz.Compressed) }

// 6455-5.5.1-e, 6455-5.5.1-k, 6455-5.5.1-l, 6455-5.5.2-a, 6455-6.2-b, 6455-7.1.5-a, T-H11.
func FuzzDialogue(f *testing.F) { hook(f, fuzz.Dialogue) }

// 6455-10.7-a, 9112-2.2-a, 9112-5.1-a, 9112-5.2-a, T-D03, T-H11.
func FuzzRequest(f *testing.F) { hook(f, fuzz.Request) }

// 6455-10.7-a, 9112-2.2-a, 9112-5.1-a, T-H11.
func FuzzResponse(f *testing.F) { hook(f, fuzz.Response) }

// T-D17, T-D18.
func FuzzOpening(f *testing.F) { hook(f, fuzz.Opening) }

// 6455-9.1-a, T-D02, T-H11.
func FuzzExtensions(f *testing.F) { hook(f, fuzz.Extensions) }

// 6455-3-d, 6455-3-e, T-H11.
func FuzzURL(f *testing.F) { hook(f, fuzz.URL) }

func FuzzSockets(f *testing.F) { hook(f, fuzz.Sockets) }

func hook(f *testing.F, target func(data []byte) int) {
	f.Fuzz(func(_ *testing.T, data []byte) { target(data) })
}

func TestEveryTargetIsHookedUp(t *testing.T) {
	source, err := os.ReadFile("fuzz_test.go")
	if err != nil {
		t.Fatal(err)
	}
	seeds := seedCorpora(t)
	for _, target := range fuzz.Targets() {
		line := "func Fuzz" + target.Name + "(f *testing.F) { hook(f, fuzz." + target.Name + ") }"
		if !strings.Contains(string(source), line) {
			t.Errorf("there is no %q", line)
		}
		deepest := 0
		for _, data := range seeds[target.Name] {
			deepest = max(deepest, target.Run([]byte(data)))
		}
		if deepest != 1 {
			t.Errorf("no seed of %s is worth to go on from", target.Name)
		}
	}
}
