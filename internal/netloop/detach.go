package netloop

// Recover returns the error of a function of the application that did not
// return: it panicked with value or, if value is nil, called runtime.Goexit. A
// deferred function calls it with the result of recover.
type Recover func(value any) error

// Detach calls f, a function of the application, on a goroutine, and returns a
// channel for its error, which is that of recovered if f does not return.
func Detach(f func() error, recovered Recover) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		returned := false
		defer func() {
			if !returned {
				err = recovered(recover())
			}
			done <- err
		}()
		err = f()
		returned = true
	}()
	return done
}
