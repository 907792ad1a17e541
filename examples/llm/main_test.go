package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

func TestAnswerArrivesTokenByToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t, start(t, parrot), opening{})
		begin := time.Now()
		check.Must(t, c.SendJSON(command{Prompt: "one two three"}))
		expect(t, c, event{1, "prompt", "one two three"})
		for i, word := range []string{"one ", "two ", "three "} {
			expect(t, c, event{2 + i, "token", word})
			check.Equal(t, time.Since(begin), time.Duration(i+1)*100*time.Millisecond, "time of %q", word)
		}
		expect(t, c, event{5, "end", ""})
	})
}

func TestAnswerIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t, start(t, parrot), opening{})
		check.Must(t, c.SendJSON(command{Prompt: strings.Repeat("word ", 1000)}))
		receive(t, c)
		expect(t, c, event{2, "token", "word "})
		check.Must(t, c.SendJSON(command{Cancel: true}))
		expect(t, c, event{3, "end", "stopped"})
		check.Must(t, c.SendJSON(command{Prompt: "again"}))
		expect(t, c, event{4, "prompt", "again"})
	})
}

// The answer goes on without a client, and a later connection gets the events
// that the lost one did not.
func TestSessionContinuesAfterALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := start(t, parrot)
		c, id := open(t, ln, opening{})
		check.Must(t, c.SendJSON(command{Prompt: "one two three"}))
		receive(t, c)
		expect(t, c, event{2, "token", "one "})
		ln.Link(0).Reset()
		time.Sleep(time.Second)

		again, same := open(t, ln, opening{Session: id, After: 2})
		check.Equal(t, same, id, "session")
		expect(t, again, event{3, "token", "two "})
		expect(t, again, event{4, "token", "three "})
		expect(t, again, event{5, "end", ""})

		again.CloseNow()
		time.Sleep(keepTime + time.Second)
		late := dial(t, ln)
		check.Must(t, late.SendJSON(opening{Session: id}))
		var closed *client.CloseError
		if _, err := late.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4004 {
			t.Errorf("%v, want a Close with 4004", err)
		}
	})
}

// An answer ends when its model fails, or when its session is full.
func TestAnswerEndsWithAnErrorAndAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alone := make(chan struct{})
		ln := start(t, func(ctx context.Context, prompt string, emit func(string)) error {
			if prompt == "fail" {
				return errors.New("a secret of the model")
			}
			for <-alone; ctx.Err() == nil; {
				emit(prompt)
			}
			return ctx.Err()
		})
		c, id := open(t, ln, opening{})
		check.Must(t, c.SendJSON(command{Prompt: "fail"}))
		receive(t, c)
		expect(t, c, event{2, "end", "the model has failed"})
		check.Must(t, c.SendJSON(command{Prompt: "endless"}))
		expect(t, c, event{3, "prompt", "endless"})
		c.CloseNow()
		synctest.Wait()
		close(alone)
		again, _ := open(t, ln, opening{Session: id, After: maxEvents})
		expect(t, again, event{maxEvents + 1, "end", "stopped"})
	})
}

// start serves sessions in memory.
func start(t *testing.T, m model) *wstest.Listener {
	t.Cleanup(func() { time.Sleep(2 * keepTime) }) // at last, the sessions expire
	return wstest.Serve(t, newServer(&sessions{model: m}))
}

// open returns a connection and its session.
func open(t *testing.T, ln *wstest.Listener, first opening) (c *client.Conn, id string) {
	t.Helper()
	c = dial(t, ln)
	check.Must(t, c.SendJSON(first))
	e := receive(t, c)
	check.Equal(t, e.Kind, "session", "first event")
	return c, e.Text
}

func dial(t *testing.T, ln *wstest.Listener) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), "ws://llm.example/session", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	check.Must(t, err)
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func receive(t *testing.T, c *client.Conn) (e event) {
	t.Helper()
	check.Must(t, c.ReceiveJSON(t.Context(), &e))
	return e
}

func expect(t *testing.T, c *client.Conn, want event) {
	t.Helper()
	check.Equal(t, receive(t, c), want, "event")
}
