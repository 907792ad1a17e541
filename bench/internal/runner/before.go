package runner

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// addBefore checks b.Before out into b.dir and adds its servers and client of
// ours to the peers: each one that takes part, at that commit. A commit whose
// benchmark has other flags or control lines fails in its runs.
func (b *Bench) addBefore(ctx context.Context) error {
	if b.Before == "" {
		return nil
	}
	tree := filepath.Join(b.dir, "before")
	top := filepath.Join(b.root, "..")
	b.progress.at("checking out", b.Before)
	for _, args := range [][]string{
		{"clone", "--quiet", "--shared", "--no-checkout", top, tree},
		{"-C", tree, "checkout", "--quiet", "--detach", b.Before},
	} {
		if err := b.command(ctx, b.root, "git", args...); err != nil {
			return fmt.Errorf("-before %s: %w", b.Before, err)
		}
	}
	b.servers = withBefore(b.servers, filepath.Join(tree, "bench"))
	b.clients = withBefore(b.clients, filepath.Join(tree, "bench"))
	return nil
}

// withBefore returns peers and, after each of ours, the same one of the module
// bench in root.
func withBefore(peers []*peer, root string) (list []*peer) {
	for _, p := range peers {
		list = append(list, p)
		if p.Kind == report.Ours {
			q := *p
			q.Name += report.BeforeSuffix
			q.Kind, q.root = report.Before, root
			list = append(list, &q)
		}
	}
	return list
}
