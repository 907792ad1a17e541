// Package hostile has peers that mean harm: what a client can do to a server, and
// a server to a client, over any net.Conn. Tests let them loose on an endpoint,
// the victim, and see whether it ends as an [Outcome] says; the soak has them beside
// peers that mean well.
//
// The victim's program echoes messages and does what a message with one of the
// commands tells it to.
//
// The attacks are in fifteen profiles, which [Profiles] names. As no extension is
// agreed, those of the ninth, compression, are frames and offers that must be
// refused.
package hostile

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// Role says who is attacked.
type Role uint8

// The roles.
const (
	Server Role = 1 << iota
	Client
	Both = Server | Client
)

// Outcome is how the victim's connection ends.
type Outcome struct {
	End  End
	Code wire.StatusCode // of Failed and Closed

	// Names are words of which the victim's error holds one: the limit, the option
	// or the rule. None: any error will do.
	Names []string
}

// End is the way in which a connection ends.
type End uint8

// The ends.
const (
	Refused End = iota // there was none: the opening handshake has failed
	Failed             // the victim has failed it, with a status code
	Lost               // the transport has ended, or the victim has cut it
	Closed             // the peer has closed it, in good order
	Left               // the victim has closed it, and was not prevented
)

// String returns the end in a word.
func (e End) String() string {
	return [...]string{"refused", "failed", "lost", "closed", "left"}[e]
}

// Profiles are the names of the profiles; an Attack's Profile is counted from 1.
var Profiles = [...]string{
	"a header with the greatest length, then nothing",
	"fragments without end, empty or of one byte",
	"Pings at line rate, and nothing is read",
	"nothing is read while the victim pushes",
	"half of something, then silence",
	"Close, and then the stream goes on",
	"a Close is never answered",
	"a reset in every state",
	"compression: offers and frames for which nothing was agreed",
	"bytes that drip, one in a segment",
	"Pongs that are doubled or were not asked for",
	"a handshake with a body, twice, or with each field missing or doubled",
	"a response with extras: extension, subprotocol, body, interim responses, redirects",
	"a TLS handshake that takes its time",
	"invalid status codes and reasons",
}

// An Attack is one thing that a hostile peer can do.
type Attack struct {
	Profile int
	Name    string
	Against Role
	Want    Outcome

	// Deaf says that the attacker does not read, so that it does not see the
	// connection end: it goes on until its context ends.
	Deaf bool

	// BelowTLS says that the attack is on TLS: it is given a connection without, to
	// a victim that expects TLS.
	BelowTLS bool

	// Probe says that a server does not report the end of the connection if the system
	// says that it was reset: the client has sent nothing of a request.
	Probe bool

	play func(p *peer)
}

// Against returns the attacks on a role, by profile.
func Against(victim Role) []*Attack {
	var attacks []*Attack
	for _, list := range [][]Attack{
		lengths, fragments, floods, pushes, halves, afterClose, unanswered, resets(), compression, drips, pongs,
		requests(), responses(), extras, slowTLS, closeCodes(),
	} {
		for _, a := range list {
			if a.Against&victim != 0 {
				attacks = append(attacks, &a)
			}
		}
	}
	slices.SortStableFunc(attacks, func(a, b *Attack) int { return a.Profile - b.Profile })
	return attacks
}

// An Attacker plays attacks on a role.
type Attacker struct {
	Victim Role
	Target string        // of requests to servers, with a leading slash
	Pause  time.Duration // between two bytes that drip

	// Breath is a pause after every 64 KiB of a flood. A flood in a bubble of
	// testing/synctest needs one, or the time there stands still.
	Breath time.Duration
}

// Play plays an attack over nc, and returns when the connection has ended, as far
// as the attacker sees, or ctx has. It closes nc.
func (w Attacker) Play(ctx context.Context, nc net.Conn, a *Attack) {
	p := &peer{Attacker: w, ctx: ctx, nc: nc}
	stop := context.AfterFunc(ctx, p.cut)
	defer stop()
	defer p.cut()
	a.play(p)
}
