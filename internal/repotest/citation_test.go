package repotest

import (
	"slices"
	"testing"
)

func TestNumbersAreCitedWhole(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"6455-5.2-a: one", []string{"6455-5.2-a"}},
		{"at the end of a sentence, 6455-5.2-a.", []string{"6455-5.2-a"}},
		{"(6455-4.1-aa, 9110-7.8-f)", []string{"6455-4.1-aa", "9110-7.8-f"}},
		{"two letters are not one: 6455-5.2-ab", []string{"6455-5.2-ab"}},
		{"IANA-close-a, WHATWG-19, 8307-a", []string{"IANA-close-a", "WHATWG-19", "8307-a"}},
		{"the same section: 6455-7.4-a,b,k, T-H05", []string{"6455-7.4-a", "6455-7.4-b", "6455-7.4-k", "T-H05"}},
		{"the same section: 6455-4.2.2-h, -ij, -k)", []string{"6455-4.2.2-h", "6455-4.2.2-ij", "6455-4.2.2-k"}},
		{"words behind a comma: 6455-5.2-a, a mask,and more", []string{"6455-5.2-a"}},
		{"a range is no citation: 6455-4.1-h…n", []string{"6455-4.1-h…n"}},
		{"nor is a section: 6455-4.2.1 item 1", []string{"6455-4.2.1"}},
		{"threats: T-A01, T-B12.", []string{"T-A01", "T-B12"}},
		{"words behind a threat: T-A01,a mask", []string{"T-A01"}},
		{"a threat's number is whole too: T-A011, T-A01x", []string{"T-A011", "T-A01x"}},
		{"something else: RFC 6455, 16455-5.2-a, AT-A01, T-shirt", nil},
	} {
		if got := Cited(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q cites %q, want %q", c.text, got, c.want)
		}
	}
}
