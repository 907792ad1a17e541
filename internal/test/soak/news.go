package main

import (
	"iter"
	"sync"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// The connections that listen to broadcasts, of all servers.
var news struct {
	mu    sync.Mutex // guards conns
	conns map[*server.Conn]bool
}

func enlist(c *server.Conn) {
	news.mu.Lock()
	defer news.mu.Unlock()
	if news.conns == nil {
		news.conns = make(map[*server.Conn]bool)
	}
	news.conns[c] = true
}

func strike(c *server.Conn, _ wire.StatusCode, _ string) {
	news.mu.Lock()
	defer news.mu.Unlock()
	delete(news.conns, c)
}

// listeners returns the connections that listen, but c, which speaks.
func listeners(c *server.Conn) iter.Seq[*server.Conn] {
	news.mu.Lock()
	defer news.mu.Unlock()
	all := make([]*server.Conn, 0, len(news.conns))
	for other := range news.conns {
		if other != c {
			all = append(all, other)
		}
	}
	return func(yield func(*server.Conn) bool) {
		for _, other := range all {
			if !yield(other) {
				return
			}
		}
	}
}
