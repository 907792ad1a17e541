//go:build !portable && kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)

package netloop

// queueModels are the models of the kernel's events. The first is that of this
// system.
var queueModels = []struct {
	name string
	make func(w *world) queueModel
}{
	{"kqueue", newKqueueModel},
}
