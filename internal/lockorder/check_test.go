//go:build lockcheck

package lockorder

import (
	"strings"
	"testing"
)

// The order is checked: with Socket held, SendQueue can be locked, Sender and another
// Socket cannot.
func TestOrderIsChecked(t *testing.T) {
	var s, other Socket
	var before Sender
	var after SendQueue
	s.Lock()
	defer s.Unlock()
	after.Lock()
	after.Unlock()
	if !before.TryLock() {
		t.Error("TryLock fails")
	}
	before.Unlock()
	for name, lock := range map[string]func(){"Sender": before.Lock, "Socket": other.Lock} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name+" is locked by a goroutine that holds Socket") {
					t.Errorf("%s: %q", name, text)
				}
			}()
			lock()
		}()
	}
	done := make(chan struct{})
	go func() { // another goroutine holds none
		before.Lock()
		before.Unlock()
		close(done)
	}()
	<-done
}

// A lock that is handed over is held by the other goroutine, and no more by the
// caller.
func TestHandOver(t *testing.T) {
	var handed, other Sender
	handed.Lock()
	f := HandOver(&handed, func() {
		defer handed.Unlock()
		defer func() {
			if text, _ := recover().(string); !strings.Contains(text, "holds Sender") {
				t.Errorf("the other goroutine locks a second Sender: %q", text)
			}
		}()
		other.Lock()
	})
	other.Lock()
	other.Unlock()
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	<-done
	handed.Lock()
	handed.Unlock()
}
