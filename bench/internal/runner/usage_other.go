//go:build !linux

package runner

import "errors"

// accounting names the source of processor times.
const accounting = "the end of each process, so that its start, the opening handshakes and the warm-up are in them"

func readUsage(int) (usage, error) { return usage{}, errors.ErrUnsupported }

func readRSS(int) (int64, error) { return 0, errors.ErrUnsupported }

// localPorts returns 0: the number is not known.
func localPorts() int { return 0 }
