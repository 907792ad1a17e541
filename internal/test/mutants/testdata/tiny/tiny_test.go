package tiny

import "testing"

func TestOver(t *testing.T) {
	for n, want := range map[int]bool{2: false, 3: false, 4: true} {
		if Over(n) != want {
			t.Errorf("Over(%d) is %v", n, !want)
		}
	}
}

func TestAbsolute(t *testing.T) {
	for n, want := range map[int]int{-2: 2, -1: 1, 1: 1, 2: 2} {
		if got := Absolute(n); got != want {
			t.Errorf("Absolute(%d) is %d", n, got)
		}
	}
}
