// Package check has the checks that most tests make.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Must ends the test with err, unless that is nil.
func Must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// Mustf is Must with the name of the call.
func Mustf(t testing.TB, err error, format string, args ...any) {
	if err != nil {
		t.Helper()
		t.Fatalf("%s%v", name(format, args...), err)
	}
}

// OK reports err, unless that is nil, and the test continues.
func OK(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Error(err)
	}
}

// OKf is OK with the name of the call.
func OKf(t testing.TB, err error, format string, args ...any) {
	if err != nil {
		t.Helper()
		t.Errorf("%s%v", name(format, args...), err)
	}
}

// Is reports err if it does not match want in the sense of errors.Is. format
// and args name the call.
func Is(t testing.TB, err, want error, format string, args ...any) {
	if !errors.Is(err, want) {
		t.Helper()
		t.Errorf("%s%v, want %v", name(format, args...), err, want)
	}
}

// As returns the first E in err in the sense of errors.As. It reports err and
// returns zero if there is none.
func As[E error](t testing.TB, err error, format string, args ...any) (e E) {
	if !errors.As(err, &e) {
		t.Helper()
		t.Errorf("%s%v, want a %T", name(format, args...), err, e)
	}
	return e
}

// Equal reports got if it is not want. format and args name the value.
func Equal[T comparable](t testing.TB, got, want T, format string, args ...any) {
	if got != want {
		t.Helper()
		t.Errorf("%s%s, want %s", name(format, args...), show(got), show(want))
	}
}

// Slices is Equal for the elements of slices.
func Slices[E comparable](t testing.TB, got, want []E, format string, args ...any) {
	if !slices.Equal(got, want) {
		t.Helper()
		t.Errorf("%s%s, want %s", name(format, args...), show(got), show(want))
	}
}

// name returns the beginning of a report.
func name(format string, args ...any) string {
	if format == "" {
		return ""
	}
	return fmt.Sprintf(format, args...) + ": "
}

func show(v any) string {
	switch v.(type) {
	case string, []string, []byte:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprintf("%+v", v)
}

// Err returns the error of a call without its value.
func Err[T any](_ T, err error) error { return err }

// Err2 returns the error of a call without its two values.
func Err2[A, B any](_ A, _ B, err error) error { return err }

// Within returns the test's context with a timeout.
func Within(t testing.TB, timeout time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// Bubble runs f as a subtest in a bubble of testing/synctest.
func Bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
