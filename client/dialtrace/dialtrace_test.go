package dialtrace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"slices"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/dialtrace"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/server"
)

// listen serves on the loopback interface and returns the address.
func listen() (address string, stop func()) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := new(server.Server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	return ln.Addr().String(), func() {
		s.Shutdown(context.Background())
		<-done
	}
}

// ExampleConfig prints the steps of a Dial. It leaves out the durations, and the
// resolution, which an address does not need.
func ExampleConfig() {
	address, stop := listen()
	defer stop()

	cfg := dialtrace.Config(nil, func(s client.Step) {
		fmt.Println(s.Kind, s.Took >= 0, s.Err)
	})
	c, err := client.Dial(context.Background(), "ws://"+address, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.CloseNow()
	// Output:
	// address true <nil>
	// connect true <nil>
	// request true <nil>
	// first byte true <nil>
	// response true <nil>
}

// The resolution and each attempt of the dialer are reported before the
// connection, in the order of their ends, and nothing of them after it.
func TestStepsOfTheDialer(t *testing.T) {
	address, stop := listen()
	defer stop()
	refused := errors.New("refused")
	late := make(chan func(), 1)
	dialer := func(ctx context.Context, network, addr string) (net.Conn, error) {
		trace := httptrace.ContextClientTrace(ctx)
		trace.DNSStart(httptrace.DNSStartInfo{Host: "server.example"})
		trace.DNSDone(httptrace.DNSDoneInfo{Addrs: []net.IPAddr{{IP: net.IPv4(192, 0, 2, 1)}, {IP: net.ParseIP("2001:db8::1")}}})
		for _, a := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.2:80"} {
			trace.ConnectStart(network, a)
		}
		trace.ConnectDone(network, "[2001:db8::1]:80", refused)
		trace.ConnectDone(network, "192.0.2.1:80", nil)
		late <- func() { trace.ConnectDone(network, "192.0.2.2:80", context.Canceled) }
		return new(net.Dialer).DialContext(context.Background(), "tcp", address)
	}
	var steps []string
	original := &client.Config{DialContext: client.DialFunc(dialer), Subprotocols: []string{"chat"}}
	cfg := dialtrace.Config(original, func(s client.Step) {
		steps = append(steps, fmt.Sprint(s.Kind, " ", s.Address, " ", s.Addresses, " ", s.Err))
	})
	if original.Trace != nil || !slices.Equal(cfg.Subprotocols, original.Subprotocols) {
		t.Errorf("the Config of the caller became %+v, and the new one is %+v", original, cfg)
	}
	c, err := client.Dial(t.Context(), "ws://server.example", cfg)
	check.Must(t, err)
	c.CloseNow()
	(<-late)()
	check.Slices(t, steps, []string{
		"resolve server.example:80 [192.0.2.1 2001:db8::1] <nil>",
		"address [2001:db8::1]:80 [] refused",
		"address 192.0.2.1:80 [] <nil>",
		"connect server.example:80 [] <nil>",
		"request server.example:80 [] <nil>",
		"first byte server.example:80 [] <nil>",
		"response server.example:80 [] <nil>",
	}, "steps")
}

// net.Dialer reports the attempt at an address that refuses, and a dialer that
// reports nothing has the step of the connection.
func TestStepsOfAFailure(t *testing.T) {
	closed := tcpserver.Refusing(t)
	var kinds []client.StepKind
	var last error
	record := func(s client.Step) {
		kinds = append(kinds, s.Kind)
		last = s.Err
		check.Equal(t, s.Address, closed, "address")
	}
	_, err := client.Dial(t.Context(), "ws://"+closed, dialtrace.Config(nil, record))
	if err == nil || last == nil || !errors.Is(err, last) {
		t.Errorf("Dial returned %v, and the last step %v", err, last)
	}
	check.Slices(t, kinds, []client.StepKind{client.StepAddress, client.StepConnect}, "steps")

	kinds = nil
	_, err = client.Dial(t.Context(), "ws://"+closed, dialtrace.Config(&client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress }),
	}, record))
	check.Is(t, err, io.ErrNoProgress, "Dial")
	check.Slices(t, kinds, []client.StepKind{client.StepConnect}, "steps")
}
