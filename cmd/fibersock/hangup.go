//go:build !js

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyHangup relays SIGHUP, which a closed terminal sends, or ssh to its
// ProxyCommand. Under nohup it stays ignored.
func notifyHangup(signals chan<- os.Signal) {
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
}
