package main

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
)

// A channel is a connection in a poller.
type channel struct {
	conn    net.Conn
	receive func() // the task for input; allocated once
	fd      int
	slot    int32 // the channel's number in epoll
}

// A poller reports input of a channel once, and again after resume.
type poller struct {
	epoll int

	mu    sync.Mutex // guards the rest
	slots []*channel
	free  []int32 // nil in slots
}

const once = syscall.EPOLLIN | syscall.EPOLLONESHOT

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &poller{epoll: fd}, nil
}

// start begins to wait for input of c.
func (p *poller) start(c *channel) error {
	raw, err := c.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	// The descriptor is used outside of Control: the owner of the channel
	// closes the connection after stop, nothing else does.
	if err := raw.Control(func(fd uintptr) { c.fd = int(fd) }); err != nil {
		return err
	}
	p.keep(c)
	return p.control(syscall.EPOLL_CTL_ADD, c)
}

// resume waits for the next input of c.
func (p *poller) resume(c *channel) error { return p.control(syscall.EPOLL_CTL_MOD, c) }

func (p *poller) control(op int, c *channel) error {
	return syscall.EpollCtl(p.epoll, op, c.fd, &syscall.EpollEvent{Events: once, Fd: c.slot})
}

// stop removes c; closing the connection removes it from epoll.
func (p *poller) stop(c *channel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(c.slot) < len(p.slots) && p.slots[c.slot] == c {
		p.slots[c.slot] = nil
		p.free = append(p.free, c.slot)
	}
}

func (p *poller) keep(c *channel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		c.slot, p.free = p.free[n-1], p.free[:n-1]
		p.slots[c.slot] = c
		return
	}
	c.slot = int32(len(p.slots))
	p.slots = append(p.slots, c)
}

// wait calls ready for each channel that has input.
func (p *poller) wait(ready func(*channel)) error {
	events := make([]syscall.EpollEvent, 256)
	var batch []*channel
	for {
		n, err := syscall.EpollWait(p.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		batch = p.channels(batch[:0], events[:max(n, 0)])
		for _, c := range batch {
			ready(c)
		}
		clear(batch)
	}
}

// channels appends those that events are of.
func (p *poller) channels(batch []*channel, events []syscall.EpollEvent) []*channel {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch = slices.Grow(batch, len(events))
	for _, e := range events {
		batch = append(batch, p.slots[e.Fd])
	}
	return batch
}
