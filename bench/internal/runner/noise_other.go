//go:build !linux

package runner

import "errors"

func readNoise() (noise, error) { return noise{}, errors.ErrUnsupported }
