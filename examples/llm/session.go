package main

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

const (
	maxSessions = 1000
	maxEvents   = 10_000           // of a session; an answer ends there
	keepTime    = 10 * time.Minute // for which a session without a client is kept
)

// sessions are the sessions by their names, which are secrets.
type sessions struct {
	model model
	mu    sync.Mutex
	byID  map[string]*session
}

// enter returns the session of an ID, or a new one; nil if there is none.
func (all *sessions) enter(id string) *session {
	all.mu.Lock()
	defer all.mu.Unlock()
	s := all.byID[id]
	if s == nil {
		if id != "" || len(all.byID) == maxSessions {
			return nil
		}
		if all.byID == nil {
			all.byID = make(map[string]*session)
		}
		s = &session{id: rand.Text(), changed: make(chan struct{})}
		all.byID[s.id] = s
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.clients++
	return s
}

// leave ends a session when it has had no client for keepTime.
func (all *sessions) leave(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if s.clients--; s.clients > 0 {
		return
	}
	s.expiry = time.AfterFunc(keepTime, func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		if s.clients == 0 {
			s.stop()
			delete(all.byID, s.id)
		}
	})
}

// An event is a message to the client.
type event struct {
	Number int    `json:"number,omitempty"` // 1, 2, 3, … in a session
	Kind   string `json:"kind"`             // session, prompt, token or end
	Text   string `json:"text,omitempty"`
}

// A session has the events of all prompts and answers.
type session struct {
	id      string
	clients int         // with the lock of sessions
	expiry  *time.Timer // likewise

	mu      sync.Mutex
	events  []event
	changed chan struct{}      // closed with the next event
	cancel  context.CancelFunc // nil if no answer is running
}

// since returns the events behind a number, and a channel that is closed with
// the next one.
func (s *session) since(number int) ([]event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[min(max(number, 0), len(s.events)):], s.changed
}

// add appends an event. The caller has the lock.
func (s *session) add(kind, text string) {
	s.events = append(s.events, event{len(s.events) + 1, kind, text})
	close(s.changed)
	s.changed = make(chan struct{})
}

// ask starts an answer, on a goroutine of its own, if none is running.
func (s *session) ask(m model, prompt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil || len(s.events) >= maxEvents {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.add("prompt", prompt)
	go func() {
		err := m(ctx, prompt, func(token string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.add("token", token); len(s.events) >= maxEvents {
				cancel()
			}
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		cancel()
		s.cancel = nil
		switch {
		case err == nil:
			s.add("end", "")
		case errors.Is(err, context.Canceled):
			s.add("end", "stopped")
		default:
			s.add("end", "the model has failed")
		}
	}()
}

// stop ends the answer, if one is running.
func (s *session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}
