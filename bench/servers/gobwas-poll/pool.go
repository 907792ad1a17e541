package main

// A pool runs tasks on a bounded number of goroutines, which are started when
// they are needed and stay.
type pool struct {
	tasks chan func()
	slots chan struct{} // one in it for each goroutine
}

func newPool(size int) pool {
	return pool{tasks: make(chan func()), slots: make(chan struct{}, size)}
}

// schedule hands task to a goroutine, and waits if all of them are busy.
func (p pool) schedule(task func()) {
	select {
	case p.tasks <- task:
	default:
		p.start(task)
	}
}

func (p pool) start(task func()) {
	select {
	case p.tasks <- task:
	case p.slots <- struct{}{}:
		go p.work(task)
	}
}

func (p pool) work(task func()) {
	for {
		task()
		task = <-p.tasks
	}
}
