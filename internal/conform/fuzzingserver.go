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

// A FuzzingServer runs cases against the clients that connect to it, as the paths and queries of their requests ask for:
//
//	/getCaseCount                   answers with the number of cases
//	/getCaseInfo?case=N             answers with the case's id and description
//	/runCase?case=N&agent=X         runs a case; the client echoes until the connection ends
//	/getCaseStatus?case=N&agent=X   answers with the verdict, when there is one
//	/updateReports?agent=X          has reports written; with &shutdownOnComplete=true that is the end
//	/stopServer                     is the end
//
// In place of case=N, which counts the Cases from 1, casetuple=ID tells the case. Answers are text messages, in JSON, with a Close after them.
type FuzzingServer struct {
	Cases   []*Case
	Options Options // Parallel has no say: the clients decide

	// Update, if it is set, is called for /updateReports with the agent's results so far, after the cases under way
	// with it have ended.
	Update func(agent string, results []*Result)

	// Subprotocols are those that the judge knows: of those that a client offers, it selects the
	// client's first that is among them.
	Subprotocols []string

	// Once makes the first /updateReports the end.
	Once bool

	// Page, if it is set, returns what a browser that asks for path gets, and its media type; nil if there is nothing.
	Page func(path string) (body []byte, mediaType string)

	mu      sync.Mutex // guards the rest, and calls of Options.Result and Update
	results map[string]map[*Case]*Result
	running map[string]int            // cases under way with an agent
	ended   sync.Cond                 // of mu: a case has ended
	ready   map[awaited]chan struct{} // closed when the result is there
	stop    context.CancelCauseFunc
}

type awaited struct {
	agent string
	c     *Case
}

// Serve serves the clients that connect to ln, until ctx is over, which is its error, or a client asks for the end, which is none. It closes ln.
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

// Results returns the results so far of each agent, in the order of the cases; of a case that
// was run more than once the last.
func (f *FuzzingServer) Results() map[string][]*Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string][]*Result)
	for agent := range f.results {
		all[agent] = f.resultsOf(agent)
	}
	return all
}

// resultsOf is called with f.mu held.
func (f *FuzzingServer) resultsOf(agent string) []*Result {
	return slices.SortedFunc(maps.Values(f.results[agent]), func(a, b *Result) int { return cmp.Compare(a.Case.Index, b.Case.Index) })
}

// serve serves one connection.
func (f *FuzzingServer) serve(ctx context.Context, conn net.Conn) {
	head, early, err := readHead(conn, time.Duration(float64(openTimeout)*f.Options.patience()))
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
	cmd.do(ctx, v)
}

// A visit is a connection whose opening handshake has come.
type visit struct {
	conn    net.Conn
	request *http.Request
	head    string
	early   []byte

	subprotocol string // "" for none
}

// accept answers the opening handshake.
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

// A command is what a request asks for.
type command struct {
	do func(context.Context, visit)
}

// command returns what the request's target asks for.
func (f *FuzzingServer) command(target *url.URL) (command, error) {
	q, err := url.ParseQuery(target.RawQuery)
	if err != nil {
		return command{}, err
	}
	for name, values := range q {
		if len(values) > 1 {
			return command{}, fmt.Errorf("the parameter %.50q is there twice", name)
		}
	}
	agent := q.Get("agent")
	var c *Case
	switch target.Path {
	case "/getCaseInfo", "/runCase", "/getCaseStatus":
		if c, err = f.find(q); err != nil {
			return command{}, err
		}
	}
	switch target.Path {
	case "/runCase", "/getCaseStatus", "/updateReports":
		if agent == "" {
			return command{}, errors.New("the parameter agent is missing")
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
		return command{func(ctx context.Context, v visit) { f.run(ctx, v, agent, c) }}, nil
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
	return command{}, fmt.Errorf("nothing is served at %.100q", target.Path)
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

// run runs a case. One that ends because the judge does has no result.
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

// begin counts a case that is under way with agent, until end is called.
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

// await is called with f.mu held and returns, with it held, when no case is under way with agent: for a client the last
// one is over when the closing handshake is, and TCP ends a little later.
func (f *FuzzingServer) await(agent string) {
	for f.running[agent] > 0 {
		f.ended.Wait()
	}
}

// note keeps a result.
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

// waitFor returns a channel that is closed when the result is there.
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

// say returns a command that sends what answer returns, as soon as ready is closed, if it is not nil, and closes.
func (f *FuzzingServer) say(ready <-chan struct{}, answer func() any) command {
	return command{func(ctx context.Context, v visit) {
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
	}}
}

// then returns a command that does next after cmd.
func (f *FuzzingServer) then(cmd command, next func()) command {
	return command{func(ctx context.Context, v visit) {
		cmd.do(ctx, v)
		next()
	}}
}

// update returns the command for /updateReports.
func (f *FuzzingServer) update(agent string, last bool) command {
	said := command{func(ctx context.Context, v visit) {
		f.mu.Lock()
		f.await(agent)
		if f.Update != nil {
			f.Update(agent, f.resultsOf(agent))
		}
		f.mu.Unlock()
		f.say(nil, nil).do(ctx, v)
	}}
	if last || f.Once {
		return f.then(said, func() { f.stop(errStopped) })
	}
	return said
}

// page answers a request that is not for a WebSocket.
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

// respond sends an HTTP response that is the last.
func respond(conn net.Conn, status int, mediaType string, body []byte) {
	conn.SetDeadline(time.Now().Add(openTimeout))
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nServer: %s\r\nConnection: close\r\nContent-Type: %s\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), userAgent, mediaType, len(body), body)
}
