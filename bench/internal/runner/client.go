package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// clientResult is the output of a client command, with the usage of its
// process.
type clientResult struct {
	Version    string `json:"version"`
	UTF8       bool   `json:"utf8"`
	Notes      string `json:"notes"`
	Messages   int64  `json:"messages"`
	UserNS     int64  `json:"user_ns"`
	SysNS      int64  `json:"sys_ns"`
	Mallocs    uint64 `json:"mallocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
}

// clientServer is the server that all clients speak with. It may be any; it is
// one that does little.
const clientServer = "minimal-go"

// runClient measures a client: it is on the processor that otherwise is the
// server's, and the server on those of the load.
func (b *Bench) runClient(ctx context.Context, p plan, peer *peer) (report.Figures, error) {
	path, err := b.clientServer(ctx)
	if err != nil {
		return nil, err
	}
	server, err := start(ctx, b.division.load, path)
	if err != nil {
		return nil, fmt.Errorf("the clients' server: %w", err)
	}
	defer server.stop()
	result, err := b.drive(ctx, p, peer, "ws://"+server.hello.Listening+"/")
	if err != nil {
		return nil, err
	}
	peer.Version, peer.UTF8, peer.Notes = result.Version, result.UTF8, result.Notes
	n := float64(result.Messages)
	return report.Figures{
		report.Messages:   n,
		report.CPU:        float64(result.UserNS+result.SysNS) / n,
		report.CPUUser:    float64(result.UserNS) / n,
		report.CPUSystem:  float64(result.SysNS) / n,
		report.Allocs:     float64(result.Mallocs) / n,
		report.AllocBytes: float64(result.AllocBytes) / n,
	}, nil
}

// drive runs the client command to its end.
func (b *Bench) drive(ctx context.Context, p plan, peer *peer, url string) (*clientResult, error) {
	// Round trips of about 40 µs, and of 80 µs for longer messages, fill the
	// duration.
	trips := int(p.duration / (40*time.Microsecond + time.Duration(p.size)*5/2*time.Nanosecond))
	cmd := exec.Command(peer.path, "-url="+url, fmt.Sprintf("-n=%d", trips), fmt.Sprintf("-size=%d", p.size))
	ownGroup(cmd)
	var output bytes.Buffer
	words := new(tail)
	cmd.Stdout, cmd.Stderr = &output, words
	if err := startOn(b.division.server, cmd.Start); err != nil {
		return nil, err
	}
	ended := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer ended()
	hurry := time.AfterFunc(p.duration+time.Minute, func() { cmd.Process.Kill() })
	defer hurry.Stop()
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, withoutName(words.last()))
	}
	result := new(clientResult)
	if err := json.Unmarshal(output.Bytes(), result); err != nil || result.Messages <= 0 {
		return nil, fmt.Errorf("it printed %.80q, which is no result", output.String())
	}
	return result, nil
}

// clientServer returns the path of the clients' server. It builds the server if
// that does not take part itself.
func (b *Bench) clientServer(ctx context.Context) (string, error) {
	if b.reference == nil {
		isIt := func(p *peer) bool { return p.Name == clientServer }
		if i := slices.IndexFunc(b.servers, isIt); i >= 0 {
			b.reference = b.servers[i]
		} else if err := b.buildReference(ctx, isIt); err != nil {
			return "", err
		}
	}
	if b.reference.Missing != "" {
		return "", &absentError{"the clients' server is not built: " + b.reference.Missing}
	}
	return b.reference.path, nil
}

func (b *Bench) buildReference(ctx context.Context, isIt func(*peer) bool) error {
	all := servers()
	p := all[slices.IndexFunc(all, isIt)]
	p.path = filepath.Join(b.dir, "clients-server"+executableSuffix())
	if err := b.buildOne(ctx, p, "servers"); err != nil {
		p.Missing = oneLine(err)
	}
	b.reference = p
	return ctx.Err()
}
