package client

import "github.com/fibersock/fibersock/endpoint"

// Key is the key of a value of type T that an application stores with
// connections, beside the values of other keys and that of SetValue. The address
// of the variable is the key, so that packages do not share one by accident:
//
//	var session client.Key[*Session]
//
//	session.Set(c, s)
//	s, ok := session.Get(c)
//
// A Key must not be copied. Any goroutine may call its methods.
type Key[T any] struct{ _ byte } // variables without a size may have one address

// Set stores v with c.
func (k *Key[T]) Set(c *Conn, v T) {
	values, ok := c.values.Load().(*endpoint.Values)
	if !ok {
		c.values.CompareAndSwap(nil, new(endpoint.Values))
		values = c.values.Load().(*endpoint.Values)
	}
	values.Store(k, &v)
}

// Get returns the value that Set stored last. It reports false if there is
// none.
func (k *Key[T]) Get(c *Conn) (T, bool) {
	values, _ := c.values.Load().(*endpoint.Values)
	if v, ok := values.Load(k).(*T); ok {
		return *v, true
	}
	var none T
	return none, false
}
