// Package repotest tests the repository as a whole.
//
// Imports point down, constrained builds do not pay for unused features, and
// only the socket loops import syscall. Time is measured by the monotonic
// clock. docs/security.md has the defaults of the code, examples contain
// nothing dangerous, and secrets are from crypto/rand. Comments name things,
// and names are terms of the field: words_test.go counts the remaining lines.
//
// Every requirement of the RFCs (rules.txt) and every known attack
// (threats.txt) is cited by a test, or has a reason in exceptions.txt or
// threat_exceptions.txt. A test cites a rule by its whole number in a comment
// or a string, 6455-5.4-b, several of one section as 6455-7.4-a, -b, -c or
// 6455-7.4-a,b,c, and a threat as T-A01. docs/conformance.md and
// docs/security-coverage.md list the citations:
//
//	go generate ./internal/repotest
//
// The same command writes the comparison in README.md and its chart from
// docs/performance/results.json and docs/conformance-peers.md. All Go code of
// the pages and all examples compile as a reader sees them.
package repotest

//go:generate go test . -count=1 -run PageIsCurrent -update
