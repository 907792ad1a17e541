package flatepeer_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/flatepeer"
)

func TestMessages(t *testing.T) {
	text := []byte(strings.Repeat("Hello, again. ", 3) + "0123456789 abcdefghijklmnopqrstuvwxyz")
	for _, takeover := range []bool{false, true} {
		d := flatepeer.NewDeflater(6, takeover)
		i := flatepeer.Inflater{Takeover: takeover}
		var sizes []int
		for range 2 {
			p := d.Message(text)
			sizes = append(sizes, len(p))
			got, err := i.Message(p)
			check.Must(t, err)
			check.Equal(t, string(got), string(text), "takeover %t", takeover)
		}
		if smaller := sizes[1] < sizes[0]/2; smaller != takeover {
			t.Errorf("takeover %t: the same message of %v bytes", takeover, sizes)
		}
	}
}

// A message that refers to an earlier one cannot be read without it.
func TestInflaterWithoutTakeover(t *testing.T) {
	d, i := flatepeer.NewDeflater(6, true), flatepeer.Inflater{}
	text := []byte(strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz", 2))
	check.Must(t, check.Err(i.Message(d.Message(text))))
	if got, err := i.Message(d.Message(text)); err == nil {
		t.Errorf("read %q without the message before", got)
	}
}
