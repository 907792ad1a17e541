package endpoint_test

import (
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
)

func TestValuesAreKeptByKey(t *testing.T) {
	var v endpoint.Values
	check.Equal(t, v.Load("a"), nil, "an empty set")
	for i, key := range []any{"a", "b", 3, "b", "a", 3} {
		v.Store(key, i)
		check.Equal(t, v.Load(key), any(i), "a value that was stored")
	}
	for key, want := range map[any]any{"a": 4, "b": 3, 3: 5, 4: nil} {
		check.Equal(t, v.Load(key), want, "value of %v", key)
	}
}

// A value that another one replaces is garbage.
func TestValuesKeepNoReplacedValue(t *testing.T) {
	var v endpoint.Values
	store := func(key any) weak.Pointer[[1 << 10]byte] {
		value := new([1 << 10]byte)
		v.Store(key, value)
		return weak.Make(value)
	}
	first, second := store("a"), store("b")
	kept := store("a")
	runtime.GC()
	if first.Value() != nil {
		t.Error("the replaced value is still stored")
	}
	if second.Value() == nil || kept.Value() == nil {
		t.Error("a stored value is lost")
	}
	runtime.KeepAlive(&v)
}

func TestValuesOfConcurrentStoresAreAllKept(t *testing.T) {
	var v endpoint.Values
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				v.Store(g, i)
			}
		})
	}
	wg.Wait()
	for g := range 8 {
		check.Equal(t, v.Load(g), any(99), "value of goroutine %d", g)
	}
}
