package check

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"
)

// recorder records the reports of a test.
type recorder struct {
	testing.TB
	got []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Error(args ...any)         { r.got = append(r.got, fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any)         { r.got = append(r.got, "fatal "+fmt.Sprint(args...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.got = append(r.got, "fatal "+fmt.Sprintf(f, a...)) }
func (r *recorder) Errorf(f string, a ...any) { r.got = append(r.got, fmt.Sprintf(f, a...)) }

func TestChecks(t *testing.T) {
	path := &os.PathError{Op: "open", Path: "x", Err: io.EOF}
	for _, tt := range []struct {
		err  error
		want []string
	}{
		{nil, []string{"Is 1: <nil>, want EOF", "As 2: <nil>, want a *fs.PathError"}},
		{path, []string{"fatal open x: EOF", "fatal Mustf 5: open x: EOF", "open x: EOF", "OKf 3: open x: EOF"}},
	} {
		r := new(recorder)
		Must(r, tt.err)
		Mustf(r, tt.err, "Mustf %d", 5)
		OK(r, Err2(0, 0, Err(0, tt.err)))
		OKf(r, tt.err, "OKf %d", 3)
		Is(r, tt.err, io.EOF, "Is %d", 1)
		if e := As[*os.PathError](r, tt.err, "As %d", 2); e != nil && e != path {
			t.Errorf("As returned %v", e)
		}
		Equal(r, 1, 1, "equal")
		Equal(r, "a", "b", "Equal %d", 4)
		Equal(r, tt.err, tt.err, "equal")
		Slices(r, []int{1}, nil, "Slices")
		Slices(r, []byte{}, nil, "equal")
		tt.want = append(tt.want, `Equal 4: "a", want "b"`, "Slices: [1], want []")
		if !slices.Equal(r.got, tt.want) {
			t.Errorf("%v: reported %q, want %q", tt.err, r.got, tt.want)
		}
	}
	Bubble(t, "Within", func(t *testing.T) { <-Within(t, time.Hour).Done() })
}
