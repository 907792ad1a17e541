package main

import "os"

// notifyHangup has no effect: GOOS=js has no SIGHUP.
func notifyHangup(chan<- os.Signal) {}
