package endpoint

import "sync/atomic"

// Values are values that an application stores with a connection, by keys, as
// context.WithValue does. The zero value is empty, and so is nil, which Store
// must not be called with. Any goroutine may call the methods.
type Values struct{ last atomic.Pointer[valueEntry] }

// valueEntry is an immutable list. Each key occurs once.
type valueEntry struct {
	key, value any
	next       *valueEntry
}

// Store sets the value of a key, which must be comparable.
func (v *Values) Store(key, value any) {
	for {
		old := v.last.Load()
		if v.last.CompareAndSwap(old, &valueEntry{key, value, old.without(key)}) {
			return
		}
	}
}

// Load returns the value of a key, nil if there is none.
func (v *Values) Load(key any) any {
	if v == nil {
		return nil
	}
	for e := v.last.Load(); e != nil; e = e.next {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// without returns a copy of the list without a key.
func (e *valueEntry) without(key any) *valueEntry {
	switch {
	case e == nil:
		return nil
	case e.key == key:
		return e.next
	}
	return &valueEntry{e.key, e.value, e.next.without(key)}
}
