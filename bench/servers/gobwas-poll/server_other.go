//go:build !linux

package main

import (
	"errors"
	"net"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

func run(net.Listener, serve.Options) error {
	return errors.New("epoll is Linux's")
}
