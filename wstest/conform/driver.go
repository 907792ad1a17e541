package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A Driver takes a client through the cases of a fuzzing server: a
// FuzzingServer, or that of the Autobahn TestSuite. It requests /getCaseCount,
// /runCase for each case, and /updateReports.
type Driver struct {
	URL   string // of the fuzzing server; its path is the prefix of those above
	Agent string // the name of the client in the server's reports

	// Ask connects to a URL and returns the first message of the server.
	Ask func(ctx context.Context, url string) (message string, err error)

	// Echo connects to a URL and sends every message back until the connection
	// ends. How it ends is no error: the server judges it.
	Echo func(ctx context.Context, url string) error

	Parallel int  // the number of cases that run at the same time; default 1
	Shutdown bool // request the server's end with the reports

	// Count, if not nil, is called with the number of cases before the first of
	// them, and Ran after each, one call at a time.
	Count func(cases int)
	Ran   func()

	// Judged, if not nil, is called after each case with its id and the
	// server's verdict, one call at a time. Run requests them by /getCaseInfo
	// and /getCaseStatus, two connections for each case. The cases are in the
	// order of their ends.
	Judged func(id string, verdict Verdict)
}

// An AnswerError reports an answer of a fuzzing server that is not in the form
// of the resource.
type AnswerError struct {
	Resource string // getCaseCount, getCaseInfo or getCaseStatus
	Answer   string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("websocket: the answer to /%s is not of a fuzzing server: %.40q", e.Resource, e.Answer)
}

// Run runs all cases of the server and requests the reports. The error is that
// of ctx, of Ask or Echo, or an *AnswerError.
func (d *Driver) Run(ctx context.Context) error {
	answer, err := d.Ask(ctx, d.resource("getCaseCount", nil))
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(answer)
	if err != nil || count < 0 {
		return &AnswerError{"getCaseCount", answer}
	}
	if d.Count != nil {
		d.Count(count)
	}
	var mu sync.Mutex // guards calls of d.Ran and d.Judged
	err = parallel(ctx, count, d.Parallel, func(ctx context.Context, i int) error {
		query := url.Values{"case": {strconv.Itoa(i + 1)}, "agent": {d.Agent}}
		if err := d.Echo(ctx, d.resource("runCase", query)); err != nil {
			return err
		}
		var id string
		var verdict Verdict
		if d.Judged != nil {
			var err error
			if id, verdict, err = d.verdict(ctx, query); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if d.Ran != nil {
			d.Ran()
		}
		if d.Judged != nil {
			d.Judged(id, verdict)
		}
		return nil
	})
	if err != nil {
		return err
	}
	query := url.Values{"agent": {d.Agent}}
	if d.Shutdown {
		query.Set("shutdownOnComplete", "true")
	}
	return d.Echo(ctx, d.resource("updateReports", query))
}

// verdict requests the id of a case and the server's verdict on it.
func (d *Driver) verdict(ctx context.Context, query url.Values) (id string, verdict Verdict, err error) {
	var info struct{ ID string }
	if err := d.askJSON(ctx, "getCaseInfo", url.Values{"case": query["case"]}, &info, &info.ID); err != nil {
		return "", "", err
	}
	var status struct{ Behavior string }
	err = d.askJSON(ctx, "getCaseStatus", query, &status, &status.Behavior)
	return info.ID, Verdict(status.Behavior), err
}

// askJSON decodes the answer for a resource into v, of which field must be set
// then.
func (d *Driver) askJSON(ctx context.Context, resource string, query url.Values, v any, field *string) error {
	answer, err := d.Ask(ctx, d.resource(resource, query))
	if err != nil {
		return err
	}
	if json.Unmarshal([]byte(answer), v) != nil || *field == "" {
		return &AnswerError{resource, answer}
	}
	return nil
}

// resource returns the URL of a resource of the fuzzing server.
func (d *Driver) resource(name string, query url.Values) string {
	address := strings.TrimSuffix(d.URL, "/") + "/" + name
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// parallel calls f with the numbers below n, up to limit at the same time, and
// returns when all calls have. The first error ends the context of the others
// and is returned, or else that of ctx.
func parallel(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	var taken atomic.Int64
	for range min(max(limit, 1), n) {
		workers.Go(func() {
			for i := int(taken.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				if err := f(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}
