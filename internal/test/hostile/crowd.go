package hostile

// A Crowd is a name and the attacks of peers that come at the same time.
type Crowd struct {
	Name    string
	Attacks []*Attack
}

// Crowds returns the attacks on a role, without those below TLS unless secure is
// set: in one crowd of all profiles, or, if byProfile is set, in one for each.
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
