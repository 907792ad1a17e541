package tiny

import "testing"

func TestOver(t *testing.T) {
	for n, want := range map[int]bool{2: false, 3: false, 4: true} {
		if Over(n) != want {
			t.Errorf("Over(%d) is %v", n, !want)
		}
	}
}

func TestSum(t *testing.T) {
	for n, want := range []int64{1, 3, 6, 10} {
		if got := Sum(int64(n + 1)); got != want {
			t.Fatalf("Sum(%d) is %d", n+1, got)
		}
	}
	if got := Sum(0); got != 0 {
		t.Errorf("Sum(0) is %d", got)
	}
}
