package fuzz

import "fmt"

// Violation is what a target panics with when a property does not hold. Any
// other panic comes from the code under test, and is a finding as well.
type Violation struct {
	Property string // what should be so
	Detail   string // the input and what came of it
}

// Error returns both, the detail on lines of its own.
func (v *Violation) Error() string { return "fuzz: violated: " + v.Property + "\n" + v.Detail }

// violated ends the target. The first argument is what should be so.
func violated(property, format string, args ...any) {
	panic(&Violation{Property: property, Detail: fmt.Sprintf(format, args...)})
}

// What a target returns, in the terms of go-fuzz.
const (
	dull        = 0 // nothing that a mutation should start from
	interesting = 1 // the input got beyond the first check
)

// worth returns interesting if deep is set.
func worth(deep bool) int {
	if deep {
		return interesting
	}
	return dull
}
