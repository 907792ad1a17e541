package endpoint_test

import (
	"sync"
	"testing"

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
