package hostile

// A Crowd is a group of attacks that run at the same time.
type Crowd struct {
	Name    string
	Attacks []*Attack
}

// Crowds returns the attacks on a role, those below TLS only if secure is set:
// in one crowd of all profiles, or with byProfile in one crowd for each.
func Crowds(victim Role, secure, byProfile bool) (crowds []Crowd) {
	if !byProfile {
		crowds = []Crowd{{Name: "all profiles"}}
	}
	for _, a := range Against(victim) {
		if a.BelowTLS && !secure {
			continue
		}
		if name := Profiles[a.Profile-1]; byProfile && (len(crowds) == 0 || crowds[len(crowds)-1].Name != name) {
			crowds = append(crowds, Crowd{Name: name})
		}
		last := &crowds[len(crowds)-1]
		last.Attacks = append(last.Attacks, a)
	}
	return crowds
}
