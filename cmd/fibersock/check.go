package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/diagnose"
)

const checkUsage = `Usage: fibersock check [flags] URL

Opens a WebSocket connection, sends a few Pings, closes the connection, and
shows the time of each step: lookup of the name, TCP, proxy, TLS, opening
handshake, Ping, closing handshake. If a step fails, it explains the failure and
suggests remedies. After some failures it makes a second connection, without a
request, to find out whether the port speaks TLS or HTTP/2 only.

Examples:
  fibersock check wss://example.com/chat
  fibersock check localhost:8080/echo
  fibersock check -origin https://example.com wss://example.com/chat
  fibersock check -json ws://localhost:8080/echo | jq .problem.kind
`

const checkExitCodes = `
Exit codes:
  0    the connection opened, answered a Ping and closed; there may be notes
  1    wrong use: flags, URL, a file
  2    cannot connect: name, network, or a proxy that refuses
  3    TLS failed: certificate, protocol version, not a TLS server
  4    the server did not accept the opening handshake
  5    the server broke the protocol, or a limit of this client
  6    the connection was lost
  7    timeout
  8    the server closed the connection before the check was done
  130  interrupted
`

// checkOptions are the flags of check.
type checkOptions struct {
	targetOptions
	json bool
}

func checkFlags() (*flag.FlagSet, *checkOptions) {
	o := new(checkOptions)
	flags := newFlags("check", checkUsage, checkExitCodes)
	flags.BoolVar(&o.json, "json", false, "write the report as one object of JSON")
	o.add(flags)
	return flags, o
}

// checkCommand is the subcommand check.
func checkCommand(ctx context.Context, args []string, std streams) exitCode {
	flags, o := checkFlags()
	rest, err := parse(flags, args)
	var cfg *client.Config
	if err == nil && len(rest) != 1 {
		err = usagef("check takes one URL, not %d", len(rest))
	}
	if err == nil {
		err = o.check()
	}
	if err == nil {
		cfg, err = o.config()
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	report := diagnose.Check(ctx, completeURL(rest[0]), cfg)
	if report.Problem != nil {
		report.Problem.Error = timeoutFlag.Replace(report.Problem.Error)
	}
	if o.json {
		err = writeJSON(std.out, report)
	} else {
		err = showReport(std.out, report)
	}
	if err != nil {
		std.fail(err)
		return exitUsage
	}
	return checkExitCode(report)
}

// checkExitCode returns the exit code for a report.
func checkExitCode(r *diagnose.Report) exitCode {
	switch {
	case r.Problem == nil:
		return exitOK
	case r.Problem.Kind == "canceled":
		return exitInterrupted
	case r.WebSocket == nil:
		return dialExitCode(r.Err, r.Connected, r.Secured)
	case isAny[*client.CloseError](r.Err):
		return exitPeerClosed // with any code: it was too early
	}
	return endExitCode(r.Err, 0)
}

// barWidth is the width of the bar for the whole time, in columns.
const barWidth = 24

// showReport writes a report as text.
func showReport(w io.Writer, r *diagnose.Report) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	field := func(name, value string) {
		if value != "" {
			line("  %-12s %s", name, escape(value))
		}
	}
	list := func(f *diagnose.Finding) {
		if f.Error != "" {
			line("  error: %s", escape(f.Error))
		}
		for _, advice := range f.Advice {
			line("  - %s", escape(advice))
		}
	}
	line("%s", escape(r.URL))
	whole := 0.0
	for _, s := range r.Steps {
		whole += s.Milliseconds
	}
	for _, s := range r.Steps {
		bar := strings.Repeat("#", int(s.Milliseconds/max(whole, 1e-9)*barWidth+0.5))
		line("%s", strings.TrimRight(fmt.Sprintf("  %-8s %-10s %10.2f ms  %-*s  %s", s.State, s.Name, s.Milliseconds, barWidth, bar, escape(s.Detail)), " "))
	}
	if n := r.Network; n != nil {
		field("peer", n.Peer)
		field("proxy", n.Proxy)
	}
	if t := r.TLS; t != nil {
		field("tls", strings.Trim(fmt.Sprintf("%s, ALPN %s", t.Version, cmp.Or(t.ALPN, "none")), ", "))
		field("certificate", t.Subject)
		field("", cmp.Or(strings.Join(t.Names, ", "), "no names"))
		field("", "issued by "+t.Issuer)
		if !t.NotAfter.IsZero() {
			field("", fmt.Sprintf("valid from %s to %s", t.NotBefore.Format(time.DateOnly), t.NotAfter.Format(time.DateOnly)))
			field("", "SHA-256 "+t.SHA256)
		}
	}
	if h := r.HTTP; h != nil {
		field("http", strings.TrimSpace(fmt.Sprintf("%s %d %s", h.Version, h.Status, h.Reason)))
		field("server", h.Server)
		field("via", h.Via)
		field("location", h.Location)
		field("body", strings.TrimSpace(h.Body))
	}
	if ws := r.WebSocket; ws != nil {
		field("subprotocol", cmp.Or(ws.Subprotocol, "none"))
		field("compression", cmp.Or(ws.Extensions, "none"))
		if ws.RTT > 0 {
			field("round trip", fmt.Sprintf("%.2f ms", ws.RTT))
		}
		if ws.CloseCode != 0 {
			field("close", strings.TrimSpace(fmt.Sprintf("%v %s", ws.CloseCode, ws.CloseReason)))
		}
	}
	for _, note := range r.Notes {
		line("note: %s", escape(note.Text))
		list(&note)
	}
	if p := r.Problem; p != nil {
		line("PROBLEM (%s): %s", p.Kind, escape(p.Text))
		list(p)
	} else {
		line("OK: the connection opened, answered and closed in %.1f ms.", r.Milliseconds)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
