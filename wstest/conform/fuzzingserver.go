package conform

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A FuzzingServer judges the clients that connect to it. The path and query of
// a request select the command, as with the Autobahn TestSuite:
//
//	/getCaseCount                   answers with the number of cases
//	/getCaseInfo?case=N             answers with the case's id and description
//	/runCase?case=N&agent=X         runs a case; the client echoes until the connection ends
//	/getCaseStatus?case=N&agent=X   answers with the verdict, after the end of the case
//	/updateReports?agent=X          calls Update; &shutdownOnComplete=true ends Serve
//	/stopServer                     ends Serve
//
// N counts Cases from 1; casetuple=ID may replace case=N. An answer is a text
// message in JSON, followed by a Close.
type FuzzingServer struct {
	Cases   []*Case
	Options Options // without Parallel: the clients decide

	// Update, if not nil, is called for /updateReports with the agent's
	// results, after the end of its running cases.
	Update func(agent string, results []*Result)

	// Subprotocols are the subprotocols of the judge. It selects the first of a
	// client's offers that is among them.
	Subprotocols []string

	// Once makes the first /updateReports end Serve.
	Once bool

	// Page, if not nil, returns the response body and media type for an HTTP
	// request without an upgrade; a nil body is 404.
	Page func(path string) (body []byte, mediaType string)

	mu      sync.Mutex // guards the following fields, and calls of Options.Result and Update
	results map[string]map[*Case]*Result
	running map[string]int            // the number of running cases, by agent
	ended   sync.Cond                 // on mu: a case has ended
	ready   map[awaited]chan struct{} // closed when the case has a result
	stop    context.CancelCauseFunc
}

type awaited struct {
	agent string
	c     *Case
}

// Serve serves the clients that connect to ln until ctx ends, with its error,
// or a client requests the end, with nil. It closes ln.
func (f *FuzzingServer) Serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f.mu.Lock()
	f.stop = stop
	f.ended.L = &f.mu
	f.mu.Unlock()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			stop(err)
			if cause := context.Cause(ctx); !errors.Is(cause, errStopped) {
				return cause
			}
			return nil
		}
		serving.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			f.serve(ctx, conn)
		})
	}
}

// Results returns the results of each agent, in the order of the cases. Of a
// case that ran more than once it has the last result.
func (f *FuzzingServer) Results() map[string][]*Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string][]*Result)
	for agent := range f.results {
		all[agent] = f.resultsOf(agent)
	}
	return all
}

// resultsOf returns the results of an agent. f.mu is held.
func (f *FuzzingServer) resultsOf(agent string) []*Result {
	return slices.SortedFunc(maps.Values(f.results[agent]), func(a, b *Result) int { return cmp.Compare(a.Case.Index, b.Case.Index) })
}

// serve serves one connection.
func (f *FuzzingServer) serve(ctx context.Context, conn net.Conn) {
	head, early, err := readHead(conn, f.Options.patient(openTimeout))
	if err != nil {
		return
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		refuse(conn, http.StatusBadRequest, err.Error())
		return
	}
	if len(r.Header["Upgrade"]) == 0 {
		f.page(conn, r)
		return
	}
	if err := checkRequest(r); err != nil {
		refuse(conn, http.StatusBadRequest, err.Error())
		return
	}
	cmd, err := f.command(r.URL)
	if err != nil {
		refuse(conn, http.StatusInternalServerError, err.Error())
		return
	}
	v := visit{conn: conn, request: r, head: string(head), early: early}
	for _, offered := range listed(r.Header["Sec-Websocket-Protocol"]) {
		if v.subprotocol == "" && slices.Contains(f.Subprotocols, offered) {
			v.subprotocol = offered
		}
	}
	cmd(ctx, v)
}

// A visit is a connection with a client's opening handshake.
type visit struct {
	conn    net.Conn
	request *http.Request
	head    string
	early   []byte

	subprotocol string // "" for none
}

// accept sends the response of the opening handshake.
func (v visit) accept(c *Case) (hello, error) {
	h := hello{request: v.head, early: v.early}
	var compression *compression
	if c != nil {
		compression = c.compression
	}
	var err error
	if h.agreement, err = compression.answer(v.request.Header["Sec-Websocket-Extensions"]); err != nil {
		refuse(v.conn, http.StatusBadRequest, err.Error())
		return h, err
	}
	extensions := ""
	if h.agreement != nil {
		extensions = h.agreement.header
	}
	h.response = welcome(v.request, v.subprotocol, extensions)
	_, err = io.WriteString(v.conn, h.response)
	return h, err
}

// A command handles a request.
type command func(context.Context, visit)

// command returns the command that a request's target selects.
func (f *FuzzingServer) command(target *url.URL) (command, error) {
	q, err := url.ParseQuery(target.RawQuery)
	if err != nil {
		return nil, err
	}
	for name, values := range q {
		if len(values) > 1 {
			return nil, fmt.Errorf("the parameter %.50q is repeated", name)
		}
	}
	agent := q.Get("agent")
	var c *Case
	switch target.Path {
	case "/getCaseInfo", "/runCase", "/getCaseStatus":
		if c, err = f.find(q); err != nil {
			return nil, err
		}
	}
	switch target.Path {
	case "/runCase", "/getCaseStatus", "/updateReports":
		if agent == "" {
			return nil, errors.New("the parameter agent is missing")
		}
	}
	switch target.Path {
	case "/getCaseCount":
		return f.say(nil, func() any { return len(f.Cases) }), nil
	case "/getCaseInfo":
		return f.say(nil, func() any {
			return struct {
				ID          string `json:"id"`
				Description string `json:"description"`
			}{c.ID, c.Description}
		}), nil
	case "/runCase":
		return func(ctx context.Context, v visit) { f.run(ctx, v, agent, c) }, nil
	case "/getCaseStatus":
		return f.say(f.waitFor(agent, c), func() any {
			f.mu.Lock()
			defer f.mu.Unlock()
			return struct {
				Behavior Verdict `json:"behavior"`
			}{f.results[agent][c].Behavior}
		}), nil
	case "/updateReports":
		last := q.Get("shutdownOnComplete") == "true" || q.Get("shutdownOnComplete") == "yes"
		return f.update(agent, last), nil
	case "/stopServer":
		return f.then(f.say(nil, nil), func() { f.stop(errStopped) }), nil
	}
	return nil, fmt.Errorf("nothing is served at %.100q", target.Path)
}

// find returns the case that a query names.
func (f *FuzzingServer) find(q url.Values) (*Case, error) {
	if number := q.Get("case"); number != "" {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > len(f.Cases) {
			return nil, fmt.Errorf("there is no case %.20q; there are cases 1 to %d", number, len(f.Cases))
		}
		return f.Cases[n-1], nil
	}
	id := q.Get("casetuple")
	i := slices.IndexFunc(f.Cases, func(c *Case) bool { return c.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("there is no case %.20q among those that were selected", id)
	}
	return f.Cases[i], nil
}

// run runs a case. It has no result if Serve ends first.
func (f *FuzzingServer) run(ctx context.Context, v visit, agent string, c *Case) {
	f.begin(agent)
	defer f.end(agent)
	h, err := v.accept(c)
	if err != nil {
		f.note(neverOpen(c, agent, Client, h, err))
		return
	}
	s := newSession(v.conn, Server, c, f.Options)
	s.deflate = h.agreement
	s.run(h.early)
	if ctx.Err() == nil {
		f.note(s.result(h, agent, Client))
	}
}

// begin counts a running case of an agent, until end is called.
func (f *FuzzingServer) begin(agent string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		f.running = make(map[string]int)
	}
	f.running[agent]++
}

func (f *FuzzingServer) end(agent string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[agent]--
	f.ended.Broadcast()
}

// await waits until no case of an agent is running. f.mu is held. For a client
// the last case ends with the closing handshake; TCP ends a little later.
func (f *FuzzingServer) await(agent string) {
	for f.running[agent] > 0 {
		f.ended.Wait()
	}
}

// note stores a result.
func (f *FuzzingServer) note(r *Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.results == nil {
		f.results = make(map[string]map[*Case]*Result)
	}
	if f.results[r.Agent] == nil {
		f.results[r.Agent] = make(map[*Case]*Result)
	}
	f.results[r.Agent][r.Case] = r
	key := awaited{r.Agent, r.Case}
	if ready := f.ready[key]; ready != nil {
		close(ready)
		delete(f.ready, key)
	}
	if f.Options.Result != nil {
		f.Options.Result(r)
	}
}

// waitFor returns a channel that is closed when the case has a result, nil if
// it has one.
func (f *FuzzingServer) waitFor(agent string, c *Case) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.results[agent][c] != nil {
		return nil
	}
	if f.ready == nil {
		f.ready = make(map[awaited]chan struct{})
	}
	key := awaited{agent, c}
	if f.ready[key] == nil {
		f.ready[key] = make(chan struct{})
	}
	return f.ready[key]
}

// say returns a command that sends the value of answer in JSON, and a Close. It
// waits for ready, if not nil.
func (f *FuzzingServer) say(ready <-chan struct{}, answer func() any) command {
	return func(ctx context.Context, v visit) {
		h, err := v.accept(nil)
		if err != nil {
			return
		}
		s := newSession(v.conn, Server, nil, f.Options)
		speak := func() {
			if answer != nil {
				text, err := json.Marshal(answer())
				if err != nil {
					panic(err) // answers are numbers and strings
				}
				s.send(full(opText, string(text)))
			}
			s.sendClose(nil)
		}
		if ready == nil {
			speak()
		} else {
			go func() {
				select {
				case <-ready:
					s.post(speak)
				case <-s.done:
				case <-ctx.Done():
				}
			}()
		}
		s.run(h.early)
	}
}

// then returns a command that calls next after cmd.
func (f *FuzzingServer) then(cmd command, next func()) command {
	return func(ctx context.Context, v visit) {
		cmd(ctx, v)
		next()
	}
}

// update returns the command for /updateReports.
func (f *FuzzingServer) update(agent string, last bool) command {
	said := func(ctx context.Context, v visit) {
		f.mu.Lock()
		f.await(agent)
		if f.Update != nil {
			f.Update(agent, f.resultsOf(agent))
		}
		f.mu.Unlock()
		f.say(nil, nil)(ctx, v)
	}
	if last || f.Once {
		return f.then(said, func() { f.stop(errStopped) })
	}
	return said
}

// page answers a request without an upgrade.
func (f *FuzzingServer) page(conn net.Conn, r *http.Request) {
	if f.Page != nil {
		if body, mediaType := f.Page(r.URL.Path); body != nil {
			respond(conn, http.StatusOK, mediaType, body)
			return
		}
	}
	refuse(conn, http.StatusNotFound, "there is no such page; a WebSocket client asks for /getCaseCount first")
}

func refuse(conn net.Conn, status int, why string) {
	respond(conn, status, "text/plain; charset=utf-8", []byte(why+"\n"))
}

// respond sends an HTTP response and ends the connection.
func respond(conn net.Conn, status int, mediaType string, body []byte) {
	conn.SetDeadline(time.Now().Add(openTimeout))
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nServer: %s\r\nConnection: close\r\nContent-Type: %s\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), userAgent, mediaType, len(body), body)
}
