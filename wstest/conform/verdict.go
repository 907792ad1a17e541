package conform

// Verdict is what a case ends with, spelled as existing tools read it.
type Verdict string

const (
	// OK: as the specification has it, in the best way.
	OK Verdict = "OK"
	// NonStrict: as the specification has it, but later or less than the best implementations do.
	NonStrict Verdict = "NON-STRICT"
	// Informational: there is no right and wrong in this case.
	Informational Verdict = "INFORMATIONAL"
	// Unimplemented: the peer did not agree to the extension that the case is about.
	Unimplemented Verdict = "UNIMPLEMENTED"
	// Failed: the peer broke a rule.
	Failed Verdict = "FAILED"

	// These are said of the closing handshake only.

	// WrongCode: the peer closed with a status code that it should not have used.
	WrongCode Verdict = "WRONG CODE"
	// Unclean: the connection ended without both Close frames, or the peer did not end TCP in time.
	Unclean Verdict = "UNCLEAN"
	// FailedByClient: the server under test left it to the client to end TCP.
	FailedByClient Verdict = "FAILED BY CLIENT"
)

// Passes reports whether a peer with this verdict does what it must.
func (v Verdict) Passes() bool {
	switch v {
	case OK, NonStrict, Informational:
		return true
	}
	return false
}

// Broken reports whether the verdict is that a rule was broken. A verdict that neither
// passes nor is broken is Unimplemented.
func (v Verdict) Broken() bool {
	return !v.Passes() && v != Unimplemented
}
