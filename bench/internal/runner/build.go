package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// build builds all servers and clients into b.dir. Missing has the reason of a
// failure.
func (b *Bench) build(ctx context.Context) error {
	b.progress.at("building", "all")
	if err := b.buildMany(ctx, b.servers, "servers"); err != nil {
		return err
	}
	return b.buildMany(ctx, b.clients, "clients")
}

// buildMany builds the ordinary commands at once, which is faster, and each of
// the others separately.
func (b *Bench) buildMany(ctx context.Context, peers []*peer, under string) error {
	out := filepath.Join(b.dir, under)
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	args := []string{"build", "-o", out + string(os.PathSeparator)}
	for _, p := range peers {
		if p.plain() {
			args = append(args, "./"+under+"/"+p.folder)
		}
	}
	together := b.command(ctx, b.root, "go", args...)
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range peers {
		p.path = filepath.Join(out, p.Name+executableSuffix())
		if p.plain() && together == nil {
			continue
		}
		if err := b.buildOne(ctx, p, under); err != nil {
			p.Missing = err.Error()
			b.progress.say("%s/%s is not built: %s", under, p.Name, p.Missing)
		}
	}
	return ctx.Err()
}

// plain reports whether p is built like most peers.
func (p *peer) plain() bool { return !p.c && p.script == "" && p.tags == "" && p.root == "" }

func (b *Bench) buildOne(ctx context.Context, p *peer, under string) error {
	folder := filepath.Join(cmp.Or(p.root, b.root), under, p.folder)
	b.progress.at("building", p.Name)
	if p.script != "" {
		var err error
		p.path, err = filepath.Abs(filepath.Join(folder, p.script))
		return err
	}
	if !p.c {
		return b.command(ctx, folder, "go", "build", "-tags", p.tags, "-o", p.path, ".")
	}
	if runtime.GOOS != "linux" {
		return errors.New("it uses epoll, which is Linux's")
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	sources, err := fs.Glob(os.DirFS(folder), "*.c")
	if err != nil {
		return err
	}
	return b.command(ctx, folder, compiler, append([]string{"-O2", "-march=native", "-o", p.path}, sources...)...)
}

// command runs a program on all processors. Its error has the first line of the
// output that is not a heading.
func (b *Bench) command(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := startOn(b.all, cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err == nil {
		return nil
	}
	for line := range bytes.Lines(said.Bytes()) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return fmt.Errorf("%s: %.200s", name, line)
		}
	}
	return fmt.Errorf("%s: %w", name, err)
}

func executableSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
