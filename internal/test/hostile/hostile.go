// Package hostile attacks a server or a client, the victim, over any net.Conn.
// Tests compare the end of the victim's connection with an [Outcome].
//
// The victim's application echoes messages and executes the commands [Push],
// [Close] and [Ping].
//
// The attacks have fifteen profiles, which [Profiles] names. The victim
// negotiates permessage-deflate, for the ninth.
package hostile

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// Role is the role of the victim.
type Role uint8

// The roles.
const (
	Server Role = 1 << iota
	Client
	Both = Server | Client
)

// Outcome is the expected end of the victim's connection.
type Outcome struct {
	End  End
	Code wire.StatusCode // of Failed and Closed

	// Names are alternatives: the victim's error contains one of them, a limit,
	// an option or a rule. Without Names any error matches.
	Names []string
}

// End is a kind of end.
type End uint8

// The ends.
const (
	Refused End = iota // the opening handshake has failed
	Failed             // the victim has failed the connection with a status code
	Lost               // the transport has ended, or the victim has aborted it
	Closed             // the peer has closed the connection properly
	Left               // the victim has closed the connection properly
)

// String returns the name of the end.
func (e End) String() string {
	return [...]string{"refused", "failed", "lost", "closed", "left"}[e]
}

// Profiles are the names of the profiles. Attack.Profile counts from 1.
var Profiles = [...]string{
	"a header with the greatest length, then nothing",
	"fragments without end, empty or of one byte",
	"Pings at line rate, and nothing is read",
	"nothing is read while the victim pushes",
	"half of an element, then silence",
	"data after a Close",
	"a Close is never answered",
	"a reset in every state",
	"compression: offers, frames without negotiation, bombs and endless blocks",
	"bytes that drip, one in a segment",
	"doubled and unsolicited Pongs",
	"a handshake with a body, twice, or with each field missing or doubled",
	"a response with extras: extension, subprotocol, body, interim responses, redirects",
	"a slow TLS handshake",
	"invalid status codes and reasons",
}

// An Attack is one behavior of a hostile peer.
type Attack struct {
	Profile int
	Name    string
	Against Role
	Want    Outcome

	// Deaf reports that the attacker does not read. It does not see the
	// connection end, and continues until its context ends.
	Deaf bool

	// BelowTLS reports that the attack is on TLS: Play needs a plain connection
	// to a victim that expects TLS.
	BelowTLS bool

	// Probe reports that a server ignores a reset, because the client has sent
	// no byte of a request.
	Probe bool

	play func(p *peer)
}

// sending returns an attack in either role: open the connection, send bytes,
// and read until the end.
func sending(profile int, name string, want Outcome, bytes func(p *peer) string) Attack {
	return Attack{Profile: profile, Name: name, Against: Both, Want: want, play: func(p *peer) {
		p.open()
		p.send(bytes(p))
		p.drain()
	}}
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

// An Attacker runs attacks on a role.
type Attacker struct {
	Victim Role
	Target string        // of requests to servers, with a leading slash
	Pause  time.Duration // between two bytes of slow attacks

	// FloodPause is a pause after every 64 KiB of a flood, 0 for none. In a
	// bubble of testing/synctest time does not advance without one.
	FloodPause time.Duration
}

// Play runs an attack over nc until the attacker sees the end of the connection
// or ctx ends. It closes nc.
func (w Attacker) Play(ctx context.Context, nc net.Conn, a *Attack) {
	p := &peer{Attacker: w, ctx: ctx, nc: nc}
	stop := context.AfterFunc(ctx, p.cut)
	defer stop()
	defer p.cut()
	a.play(p)
}
