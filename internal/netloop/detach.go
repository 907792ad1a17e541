package netloop

// Recover returns the error of a function of the application that did not
// return: it panicked with value or, if value is nil, called runtime.Goexit. A
// deferred function calls it with the result of recover.
type Recover func(value any) error

// Detach calls f, a function of the application, on a goroutine, and returns a
// channel for its error, which is that of recovered if f does not return.
func Detach(f func() error, recovered Recover) <-chan error {
	c := newDetached(f, recovered)
	go c.start()
	return c.done
}

// detached is a function that runs on a goroutine, any number of times, one
// after another.
type detached struct {
	start     func() // of the goroutine; made once, so that a goroutine costs no closure
	done      chan error
	f         func() error
	recovered Recover
}

//go:noinline
func newDetached(f func() error, recovered Recover) *detached {
	c := &detached{done: make(chan error, 1), f: f, recovered: recovered}
	c.start = c.run
	return c
}

func (c *detached) run() {
	var err error
	returned := false
	defer func() {
		if !returned {
			err = c.recovered(recover())
		}
		c.done <- err
	}()
	err = c.f()
	returned = true
}
