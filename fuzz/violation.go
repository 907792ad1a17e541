package fuzz

import "fmt"

// Violation is the panic of a target whose property does not hold. Any other
// panic is a fault of the code under test.
type Violation struct {
	Property string // the property
	Detail   string // the input and the result
}

// Error returns the property, and the detail on lines of its own.
func (v *Violation) Error() string { return "fuzz: violated: " + v.Property + "\n" + v.Detail }

// violated ends the target with a Violation.
func violated(property, format string, args ...any) {
	panic(&Violation{Property: property, Detail: fmt.Sprintf(format, args...)})
}

// The results of targets, as go-fuzz defines them.
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
