package hostile

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// Every profile has attacks on its roles, with unique names.
func TestEveryProfileIsPlayed(t *testing.T) {
	onlyAgainst := map[int]Role{13: Client}
	for _, victim := range []Role{Server, Client} {
		played := make(map[int]int)
		names := make(map[string]bool)
		for _, a := range Against(victim) {
			played[a.Profile]++
			if name := Profiles[a.Profile-1] + ": " + a.Name; names[name] {
				t.Errorf("there are two of %q", name)
			} else {
				names[name] = true
			}
		}
		for i, name := range Profiles {
			role, one := onlyAgainst[i+1]
			if (played[i+1] > 0) != (!one || role == victim) {
				t.Errorf("%d attacks for %q on role %d", played[i+1], name, victim)
			}
		}
		t.Logf("role %d: %d attacks", victim, len(names))
	}
}

// An attack ends with its context, also against a victim that does nothing, and
// has closed its connection.
func TestAttacksEndWithTheirContext(t *testing.T) {
	for _, victim := range []Role{Server, Client} {
		for _, a := range Against(victim) {
			ours, theirs := net.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			Attacker{Victim: victim, Target: "/", Pause: time.Hour}.Play(ctx, ours, a)
			cancel()
			if err := ours.SetDeadline(time.Now()); err == nil {
				t.Errorf("%s: the connection is open", a.Name)
			}
			theirs.Close()
		}
	}
}
