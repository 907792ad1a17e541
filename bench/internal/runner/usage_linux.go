package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// accounting names the source of processor times.
const accounting = "/proc/PID/task/*/schedstat in ns; user and system share it as in /proc/PID/stat"

func readUsage(pid int) (usage, error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return usage{}, err
	}
	var u usage
	if u.user, u.system, err = parseStat(string(stat)); err != nil {
		return usage{}, err
	}
	u.threads, err = readThreads(dir + "/task")
	return u, err
}

// readThreads returns nil where the kernel was built without schedstat.
func readThreads(dir string) (map[int]time.Duration, error) {
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	threads := make(map[int]time.Duration, len(tasks))
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(dir, task.Name(), "schedstat"))
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat(filepath.Join(dir, task.Name())); err == nil {
				return nil, nil
			}
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return nil, err
		}
		if threads[id], err = parseSchedstat(string(text)); err != nil {
			return nil, err
		}
	}
	return threads, nil
}

// readRSS returns the resident memory of a process in bytes.
func readRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseKilobytes(string(text), "Rss")
}

// localPorts returns the number of ports for connections to one address; 0 if
// it is unknown.
func localPorts() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	return parsePortRange(string(text))
}
