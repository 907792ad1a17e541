package conform

// Verdict is the verdict of a case, in the spelling of the Autobahn TestSuite.
type Verdict string

const (
	// OK: the peer follows the specification in the best way.
	OK Verdict = "OK"
	// NonStrict: the peer follows the specification, but reacts later or less
	// than the best implementations.
	NonStrict Verdict = "NON-STRICT"
	// Informational: the case judges nothing.
	Informational Verdict = "INFORMATIONAL"
	// Unimplemented: the peer did not agree to the extension that the case
	// needs.
	Unimplemented Verdict = "UNIMPLEMENTED"
	// Failed: the peer broke a rule.
	Failed Verdict = "FAILED"

	// The following are verdicts on the closing handshake only.

	// WrongCode: the peer closed with a wrong status code.
	WrongCode Verdict = "WRONG CODE"
	// Unclean: the connection ended without both Close frames, or the peer did
	// not end TCP in time.
	Unclean Verdict = "UNCLEAN"
	// FailedByClient: the server under test did not end TCP.
	FailedByClient Verdict = "FAILED BY CLIENT"
)

// Passes reports whether the peer follows the specification.
func (v Verdict) Passes() bool {
	switch v {
	case OK, NonStrict, Informational:
		return true
	}
	return false
}

// Broken reports whether the peer broke a rule. Unimplemented neither passes
// nor is broken.
func (v Verdict) Broken() bool {
	return !v.Passes() && v != Unimplemented
}
