package corpus

import (
	"bytes"
	"slices"
	"testing"
)

// notScripts are the requirements that a script cannot express, with the
// reason. Other tests of the client and the server exercise them.
var notScripts = map[string]string{
	"6455-5.3-a":   "how keys are drawn is seen over many frames",
	"6455-5.3-e":   "needs a write that is slow",
	"6455-5.3-f":   "the caller's buffer is not on the wire; the player of the corpus checks it",
	"6455-5.4-j":   "about intermediaries",
	"6455-5.5.1-d": "about user interfaces",
	"6455-5.5.1-i": "about the side that ends TCP",
	"6455-5.5.1-j": "about the side that ends TCP, and a timeout",
	"6455-5.8-a":   "about the opening handshake",
	"6455-6.1-c":   "needs writers at the same moment",
	"6455-6.1-d":   "needs a transport that fails",
	"6455-6.2-c":   "about one API's readers",
	"6455-6.2-d":   "needs a clock",
	"6455-7.1.1-a": "about the side that ends TCP, and how",
	"6455-7.1.1-b": "about the side that ends TCP",
	"6455-7.1.1-c": "about the side that ends TCP",
	"6455-7.1.7-c": "about logs",
	"6455-7.1.7-d": "about applications",
	"6455-7.2.1-a": "needs a transport that fails, and blocked calls",
	"6455-7.2.2-a": "about the opening handshake",
	"6455-7.2.3-a": "about connecting again",
	"6455-8.1-f":   "needs an agreed extension",
	"6455-8.1-g":   "about the opening handshake",
}

// scripted are the requirements, after the opening handshake, that scripts
// exercise.
var scripted = []string{
	"6455-5.1-a", "6455-5.1-b", "6455-5.1-c", "6455-5.1-d", "6455-5.1-e",
	"6455-5.2-a", "6455-5.2-b", "6455-5.2-c", "6455-5.2-d", "6455-5.2-e", "6455-5.2-f", "6455-5.2-g",
	"6455-5.2-h", "6455-5.2-i", "6455-5.2-j", "6455-5.2-k", "6455-5.2-l", "6455-5.2-m", "6455-5.2-n",
	"6455-5.3-b", "6455-5.3-c", "6455-5.3-d", "6455-6.2-a",
	"6455-5.4-a", "6455-5.4-b", "6455-5.4-c", "6455-5.4-d", "6455-5.4-e", "6455-5.4-f",
	"6455-5.4-g", "6455-5.4-h", "6455-5.4-i", "6455-5.4-k",
	"6455-5.5-a", "6455-5.5-b", "6455-5.5.1-a", "6455-5.5.1-b", "6455-5.5.1-c", "6455-5.5.1-e",
	"6455-5.5.1-f", "6455-5.5.1-g", "6455-5.5.1-h", "6455-5.5.1-k", "6455-5.5.1-l",
	"6455-5.5.2-a", "6455-5.5.2-b", "6455-5.5.2-c",
	"6455-5.5.3-a", "6455-5.5.3-b", "6455-5.5.3-c", "6455-5.5.3-d",
	"6455-5.6-a", "6455-5.6-b", "6455-5.6-c", "6455-6.1-a", "6455-6.1-b", "6455-6.2-b",
	"6455-7.1.2-a", "6455-7.1.2-b", "6455-7.1.3-a", "6455-7.1.4-a", "6455-7.1.5-a", "6455-7.1.6-a",
	"6455-7.1.7-a", "6455-7.1.7-b", "6455-7.3-a",
	"6455-7.4-a", "6455-7.4-b", "6455-7.4-c", "6455-7.4-d", "6455-7.4-e", "6455-7.4-f", "6455-7.4-g",
	"6455-7.4-h", "6455-7.4-i", "6455-7.4-j", "6455-7.4-k", "IANA-close-a",
	"6455-8.1-a", "6455-8.1-b", "6455-8.1-c", "6455-8.1-d", "6455-8.1-e",
	"6455-10.4-a", "6455-10.4-b", "6455-10.7-a",
}

func TestEveryRequirementHasAScriptOrAReason(t *testing.T) {
	cited := make(map[string]bool)
	for _, s := range all(t) {
		for _, rule := range s.Rules {
			cited[rule] = true
			if !slices.Contains(scripted, rule) {
				t.Errorf("%s: %q cites %s, which is no requirement that is told in scripts: %s", s.Position(s.Line), s.Name, rule, notScripts[rule])
			}
		}
	}
	for _, rule := range scripted {
		if !cited[rule] {
			t.Errorf("no script shows %s", rule)
		}
	}
}

func TestBothRolesHaveScriptsOfEveryFile(t *testing.T) {
	roles := make(map[string]map[Role]int)
	for _, s := range all(t) {
		if roles[s.File] == nil {
			roles[s.File] = make(map[Role]int)
		}
		roles[s.File][s.Role]++
	}
	for file, n := range roles {
		if n[Server] == 0 || n[Client] == 0 && file != "06-masking.txt" { // a client unmasks nothing
			t.Errorf("%s has %d scripts for the client and %d for the server", file, n[Client], n[Server])
		}
	}
}

func TestSeedsAreInputs(t *testing.T) {
	const max = 1000
	for _, role := range []Role{Client, Server} {
		seeds, err := Seeds(role, max)
		if err != nil {
			t.Fatal(err)
		}
		hello := []byte("\x81\x05Hello")
		if role == Server {
			hello = []byte("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
		}
		if !slices.ContainsFunc(seeds, func(s []byte) bool { return bytes.Equal(s, hello) }) {
			t.Errorf("the %v's seeds have not the RFC's Hello", role)
		}
		for _, s := range seeds {
			if len(s) == 0 || len(s) > max {
				t.Errorf("a seed has %d bytes", len(s))
			}
		}
		if len(seeds) < 200 {
			t.Errorf("%d seeds for the %v", len(seeds), role)
		}
	}
}

func all(t *testing.T) []*Script {
	t.Helper()
	scripts, err := Scripts()
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}
