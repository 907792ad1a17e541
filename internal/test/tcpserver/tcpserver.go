// Package tcpserver is a TCP server for tests.
package tcpserver

import (
	"net"
	"sync"
	"testing"
)

// Start calls handle for each connection, which it closes afterwards, until the
// test ends. It returns the address.
func Start(t *testing.T, handle func(nc *net.TCPConn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				handle(nc.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	return ln.Addr().String()
}
