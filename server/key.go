package server

import "github.com/fibersock/fibersock/endpoint"

// Key is the key of a value of type T that an application stores with
// connections, beside the values of other keys and that of SetValue. The address
// of the variable is the key, so that packages do not share one by accident:
//
//	var user server.Key[*User]
//
//	user.Set(c, u)
//	u, ok := user.Get(c)
//
// A Key must not be copied. Any goroutine may call its methods. The values last
// as long as the Conn.
type Key[T any] struct{ _ byte } // variables without a size may have one address

// Set stores v with c.
func (k *Key[T]) Set(c *Conn, v T) {
	ext := c.ensureExt()
	if ext.values.Load() == nil {
		ext.values.CompareAndSwap(nil, new(endpoint.Values))
	}
	ext.values.Load().Store(k, &v)
}

// Get returns the value that Set stored last. It reports false if there is
// none.
func (k *Key[T]) Get(c *Conn) (T, bool) {
	if ext := c.ext.Load(); ext != nil {
		if v, ok := ext.values.Load().Load(k).(*T); ok {
			return *v, true
		}
	}
	var none T
	return none, false
}
