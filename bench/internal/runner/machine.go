package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// A division assigns processors to servers and load. Empty lists mean all.
type division struct{ server, load []int }

// divide assigns the first processor to the server and the others to the load.
// A single one is shared.
func divide(processors []int) division {
	if len(processors) < 2 {
		return division{processors, processors}
	}
	return division{processors[:1], processors[1:]}
}

// list writes processors as taskset and the flag -cpus of servers do.
func list(processors []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(processors), " ", ","), "[]")
}

func machine(all []int, d division) report.Machine {
	m := report.Machine{
		CPU:        "unknown",
		Processors: len(all),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		Go:         runtime.Version(),
		Accounting: accounting,
	}
	if runtime.GOOS != "linux" {
		return m
	}
	m.ServerOn, m.LoadOn = list(d.server), list(d.load)
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(string(text))
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.MemoryBytes, _ = parseKilobytes(string(text), "MemTotal") // 0 is not shown
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil {
		m.Congestion = strings.TrimSpace(string(text))
	}
	return m
}

// Machine describes this machine, without the division of its processors.
func Machine() report.Machine { return machine(nil, division{}) }

// cpuModel returns the model of the first processor, by the names that
// different architectures have for it.
func cpuModel(cpuinfo string) string {
	for _, name := range []string{"model name", "Model", "cpu model", "uarch", "CPU part"} {
		for line := range strings.Lines(cpuinfo) {
			key, value, ok := strings.Cut(line, ":")
			if ok && strings.TrimSpace(key) == name {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown"
}

// LoadProcessors returns the processors of this process and those for the load,
// in the form of serve.Pin; empty where this system cannot pin.
func LoadProcessors() (all []int, on string, err error) {
	if all, err = processors(); err != nil || runtime.GOOS != "linux" {
		return all, "", err
	}
	return all, list(divide(all).load), nil
}

// revision returns the commit checked out in folder, with "-dirty" if measured
// or measuring files were changed; empty if unknown.
func revision(ctx context.Context, folder string) string {
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return ""
	}
	changed, err := git("status", "--porcelain", "--untracked-files=no", "--",
		":/wire", ":/handshake", ":/endpoint", ":/internal", ":/client", ":/server", ":/bench", ":/go.mod")
	if err != nil || changed != "" {
		commit += "-dirty"
	}
	return commit
}
