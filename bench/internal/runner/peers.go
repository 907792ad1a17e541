package runner

import "github.com/fibersock/fibersock/bench/internal/report"

// A peer is one command that is measured.
type peer struct {
	report.Peer
	folder string // in servers or clients
	tags   string // of the build
	c      bool   // written in C
	script string // in folder, if the command is not compiled
	root   string // the folder of the module bench with it; empty: Options.Root
	path   string // of the binary, when it is built
}

const (
	ourModule = "github.com/fibersock/fibersock"
	// alternate is our server with the loop of other systems. It takes part
	// where that is not the default.
	alternate = "fibersock-portable"
	// batched is our server with Server.BatchedSends. It takes part in
	// broadcasts.
	batched = "fibersock-batched"
	// nethttp is our server behind net/http. It takes part in scenarios for it.
	nethttp = "fibersock-nethttp"
)

func newPeer(kind report.Kind, name, module string) *peer {
	return &peer{Peer: report.Peer{Name: name, Kind: kind, Module: module}, folder: name}
}

// servers returns all servers.
func servers() []*peer {
	list := []*peer{
		newPeer(report.Ours, "fibersock", ourModule),
		{Peer: report.Peer{Name: alternate, Kind: report.Ours, Module: ourModule}, folder: "fibersock", tags: "portable"},
		{Peer: report.Peer{Name: batched, Kind: report.Ours, Module: ourModule}, folder: "fibersock", tags: "batched"},
		{Peer: report.Peer{Name: nethttp, Kind: report.Ours, Module: ourModule}, folder: "fibersock", tags: "nethttp"},
		newPeer(report.Library, "gorilla", "github.com/gorilla/websocket"),
		newPeer(report.Library, "coder", "github.com/coder/websocket"),
		newPeer(report.Library, "gobwas", "github.com/gobwas/ws"),
		newPeer(report.Library, "gobwas-poll", "github.com/gobwas/ws"),
		newPeer(report.Library, "gws", "github.com/lxzan/gws"),
		newPeer(report.Library, "gws-parallel", "github.com/lxzan/gws"),
		newPeer(report.Library, "fasthttp", "github.com/fasthttp/websocket"),
		newPeer(report.Library, "xnet", "golang.org/x/net"),
		newPeer(report.Library, "nbio", "github.com/lesismal/nbio"),
		newPeer(report.Library, "gnet", "github.com/panjf2000/gnet/v2"),
		newPeer(report.Foreign, "npm-ws", "npm ws"),
		newPeer(report.Limit, "minimal-go", ""),
		newPeer(report.Limit, "minimal-c", ""),
	}
	for _, p := range list {
		switch p.Name {
		case "npm-ws":
			p.script = "server.js"
		case "minimal-c":
			p.c = true
		}
	}
	return list
}

// clients returns all clients. The client of fasthttp's package is gorilla's.
func clients() []*peer {
	return []*peer{
		newPeer(report.Ours, "fibersock", ourModule),
		newPeer(report.Library, "gorilla", "github.com/gorilla/websocket"),
		newPeer(report.Library, "coder", "github.com/coder/websocket"),
		newPeer(report.Library, "gobwas", "github.com/gobwas/ws"),
		newPeer(report.Library, "gws", "github.com/lxzan/gws"),
		newPeer(report.Library, "xnet", "golang.org/x/net"),
	}
}
