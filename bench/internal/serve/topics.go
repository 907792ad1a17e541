package serve

import "sync"

// The message that subscribes its sender to a topic, with Options.Topics:
// binary, of this size and first byte. It has no reply.
const (
	TopicSize  = 16
	TopicFirst = 'T'
)

// TopicOf returns the name of the topic in p, if p is that message.
func TopicOf(binary bool, p []byte) (name string, ok bool) {
	if !binary || len(p) != TopicSize || p[0] != TopicFirst {
		return "", false
	}
	return string(p[1:]), true
}

// Topics holds the connections of each topic, for libraries without topics. Each
// connection has one topic. The zero value is empty. All goroutines may call its
// methods.
type Topics[C comparable] struct {
	mu     sync.RWMutex // guards the rest
	groups map[string]*Group[C]
	of     map[C]*Group[C]
}

// Join subscribes c to a topic.
func (t *Topics[C]) Join(c C, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.groups == nil {
		t.groups, t.of = make(map[string]*Group[C]), make(map[C]*Group[C])
	}
	if t.groups[name] == nil {
		t.groups[name] = new(Group[C])
	}
	t.groups[name].Add(c)
	t.of[c] = t.groups[name]
}

// Leave ends c's subscription.
func (t *Topics[C]) Leave(c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.of[c]; g != nil {
		g.Remove(c)
		delete(t.of, c)
	}
}

// Members returns the connections of c's topic. The caller must not change the
// slice.
func (t *Topics[C]) Members(c C) []C {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if g := t.of[c]; g != nil {
		return g.Members()
	}
	return nil
}
