package peer

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"sync"
)

// driving returns a Drive that follows the fuzzing server's protocol. echo connects
// and sends every message back until the connection ends. receive connects and
// returns the first message.
func driving(echo func(ctx context.Context, url string), receive func(ctx context.Context, url string) (string, error)) func(context.Context, string, string, int) error {
	return func(ctx context.Context, server, agent string, parallel int) error {
		base, err := url.Parse(server)
		if err != nil {
			return err
		}
		answer, err := receive(ctx, base.JoinPath("getCaseCount").String())
		if err != nil {
			return fmt.Errorf("getCaseCount: %w", err)
		}
		count, err := strconv.Atoi(answer)
		if err != nil {
			return fmt.Errorf("getCaseCount: %w", err)
		}
		runCases(count, parallel, func(n int) {
			echo(ctx, resource(base, "runCase", url.Values{"case": {strconv.Itoa(n)}, "agent": {agent}}))
		})
		echo(ctx, resource(base, "updateReports", url.Values{"agent": {agent}}))
		return context.Cause(ctx)
	}
}

// runCases calls run for 1 to count, up to parallel at a time.
func runCases(count, parallel int, run func(n int)) {
	numbers := make(chan int)
	var runners sync.WaitGroup
	for range max(parallel, 1) {
		runners.Go(func() {
			for n := range numbers {
				run(n)
			}
		})
	}
	for n := range count {
		numbers <- n + 1
	}
	close(numbers)
	runners.Wait()
}

func resource(base *url.URL, name string, query url.Values) string {
	u := base.JoinPath(name)
	u.RawQuery = query.Encode()
	return u.String()
}
