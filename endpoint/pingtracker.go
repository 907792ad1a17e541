package endpoint

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// PingTracker matches Pongs with the Pings that callers wait for (RFC 6455,
// Section 5.5.3). Each such Ping has a random payload of 8 bytes, so that an
// unsolicited Pong answers none. The zero value is ready. All methods may be
// called from any goroutine.
//
//	payload, answered := t.Start()
//	defer t.Cancel(payload)
//	if err := e.Ping(payload[:]); err != nil {
//		return err
//	}
//	t.Sent(payload)
//	<-answered
//
// Pass the payload of each event of the kind Pong to Pong.
type PingTracker struct {
	mu      sync.Mutex // guards the rest
	waiting map[[8]byte]*trackedPing
	count   uint64 // Pings sent so far
}

// trackedPing is a Ping that has not been answered. Two Pings that are sent at
// the same time have no order. A Ping is later than another for sure if it
// started after the other was sent.
type trackedPing struct {
	answered chan struct{}
	start    uint64 // PingTracker.count at Start
	sent     uint64 // PingTracker.count at Sent; 0 before
}

// Start returns a payload for a new Ping, and a channel that is closed when
// the Ping is answered.
func (t *PingTracker) Start() (payload [8]byte, answered <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == nil {
		t.waiting = make(map[[8]byte]*trackedPing)
	}
	for {
		binary.BigEndian.PutUint64(payload[:], rand.Uint64())
		if _, taken := t.waiting[payload]; !taken {
			ping := &trackedPing{answered: make(chan struct{}), start: t.count}
			t.waiting[payload] = ping
			return payload, ping.answered
		}
	}
}

// Sent records that the Ping has been sent.
func (t *PingTracker) Sent(payload [8]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	if ping, ok := t.waiting[payload]; ok {
		ping.sent = t.count
	}
}

// Cancel ends the tracking of a Ping. A Pong for it is ignored from then on.
func (t *PingTracker) Cancel(payload [8]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, payload)
}

// Pong answers the Ping with this payload, and the Pings that were sent before
// that Ping started: a peer may answer only the latest of several Pings
// (Section 5.5.3). A Pong for no Ping is ignored.
func (t *PingTracker) Pong(payload []byte) {
	if len(payload) != len([8]byte{}) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	latest, ok := t.waiting[[8]byte(payload)]
	if !ok {
		return
	}
	for payload, ping := range t.waiting {
		if ping == latest || ping.sent > 0 && ping.sent <= latest.start {
			delete(t.waiting, payload)
			close(ping.answered)
		}
	}
}
