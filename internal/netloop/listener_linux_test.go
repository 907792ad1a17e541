//go:build !portable

package netloop

import (
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// Every connection has the options of net.ListenConfig, however it was
// accepted.
func TestOptionsOfConnectionsThatWaitTogether(t *testing.T) {
	for name, cfg := range map[string]net.ListenConfig{
		"default":       {},
		"no keep-alive": {KeepAlive: -1},
		"a keep-alive of one's own": {KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 77 * time.Second, Interval: 7 * time.Second, Count: 5,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := cfg.Listen(t.Context(), "tcp", "127.0.0.1:0")
			check.Must(t, err)
			const n = 40
			connect := func() {
				for range n {
					nc, err := net.Dial("tcp", ln.Addr().String())
					check.Must(t, err)
					t.Cleanup(func() { nc.Close() })
				}
			}
			connect() // they wait to be accepted
			l := newTestLoop(t, Config{MaxBlocked: 10}, ln, nil)
			var conns []*testConn
			for i := range 2 * n {
				if i == n {
					connect()
				}
				conns = append(conns, <-l.started)
			}
			for _, o := range sockopts {
				values := map[int]int{}
				for _, c := range conns {
					socket := c.socket.(*PolledSocket)
					socket.mu.Lock()
					value, err := syscall.GetsockoptInt(int(socket.fd), o.level, o.option)
					socket.mu.Unlock()
					check.Must(t, err)
					values[value]++
				}
				if len(values) != 1 {
					t.Errorf("option %d of level %d has the values %v", o.option, o.level, values)
				}
				if o.option == syscall.TCP_NODELAY && o.level == syscall.IPPROTO_TCP && values[1] == 0 {
					t.Error("small messages are delayed")
				}
				if want := cfg.KeepAliveConfig.Idle; o.option == syscall.TCP_KEEPIDLE && want > 0 && values[int(want.Seconds())] == 0 {
					t.Errorf("keep-alive begins after %v", values)
				}
			}
		})
	}
}

// A listener whose options cannot be set accepts by package net.
func TestListenerWhoseOptionsCannotBeSet(t *testing.T) {
	acc := &acceptor{raw: closedConn{}}
	a, b := tcpPair(t)
	defer b.Close()
	fd, _, err := duplicate(a, new(atomic.Pointer[addrs]))
	check.Must(t, err)
	defer syscall.Close(fd)
	a.Close()
	acc.readSockopts(fd)
	if acc.mode != acceptNet || acc.acceptSome() {
		t.Error("connections are accepted directly from a listener that is closed")
	}
}

// A descriptor that is duplicated from package net does not block, although the
// program has made it blocking by File().Fd(): one peer that did not read used
// to stop the process.
func TestDuplicateIsNonBlocking(t *testing.T) {
	a, b := tcpPair(t)
	defer b.Close()
	f, err := a.File()
	check.Must(t, err)
	f.Fd()
	f.Close()
	fd, _, err := duplicate(a, new(atomic.Pointer[addrs]))
	check.Must(t, err)
	defer syscall.Close(fd)
	a.Close()
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_NONBLOCK == 0 {
		t.Errorf("its flags are %#x, %v", flags, errno)
	}
}

// closedConn is the RawConn of a closed listener.
type closedConn struct{ syscall.RawConn }

func (closedConn) Control(func(uintptr)) error { return net.ErrClosed }

// The addresses of a connection are the same after they were packed. IPv4
// addresses of an IPv6 socket are shown as IPv4.
func TestAddressesAreKept(t *testing.T) {
	var last atomic.Pointer[addrs]
	for _, tt := range []struct{ local, remote, wantLocal, wantRemote string }{
		{"127.0.0.1:80", "192.0.2.7:65535", "127.0.0.1:80", "192.0.2.7:65535"},
		{"[::ffff:127.0.0.1]:80", "[::ffff:192.0.2.7]:1", "127.0.0.1:80", "192.0.2.7:1"},
		{"[2001:db8::1]:443", "[2001:db8::2]:2", "[2001:db8::1]:443", "[2001:db8::2]:2"},
		{"[2001:db8::1]:443", "[2001:db8::3]:2", "[2001:db8::1]:443", "[2001:db8::3]:2"},
		{"[fe80::1%eth0]:443", "[fe80::2%eth0]:3", "[fe80::1%eth0]:443", "[fe80::2%eth0]:3"},
		{"[fe80::1%eth0]:443", "[fe80::2%eth1]:3", "[fe80::1%eth0]:443", "[fe80::2%eth1]:3"},
		{"[fe80::1%eth0]:443", "[2001:db8::3]:2", "[fe80::1%eth0]:443", "[2001:db8::3]:2"},
	} {
		a := newAddrPair(netip.MustParseAddrPort(tt.local), netip.MustParseAddrPort(tt.remote), &last)
		if local, remote := a.local().String(), a.remote().String(); local != tt.wantLocal || remote != tt.wantRemote {
			t.Errorf("%s and %s have become %s and %s", tt.local, tt.remote, local, remote)
		}
	}
}

// The zone of an address is the name of its interface, if it has one.
func TestAddressesAreAsPackageNetHasThem(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	check.Must(t, err)
	for _, tt := range []struct {
		sa   syscall.Sockaddr
		want string
	}{
		{&syscall.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 80}, "192.0.2.1:80"},
		{&syscall.SockaddrInet6{Addr: netip.MustParseAddr("2001:db8::1").As16(), Port: 80}, "[2001:db8::1]:80"},
		{&syscall.SockaddrInet6{Addr: netip.MustParseAddr("fe80::1").As16(), Port: 80, ZoneId: uint32(lo.Index)}, "[fe80::1%lo]:80"},
		{&syscall.SockaddrInet6{Addr: netip.MustParseAddr("fe80::1").As16(), Port: 80, ZoneId: 123456789}, "[fe80::1%123456789]:80"},
		{&syscall.SockaddrUnix{Name: "/"}, "invalid AddrPort"},
	} {
		if got := addrPortOf(tt.sa).String(); got != tt.want {
			t.Errorf("%+v has become %s, want %s", tt.sa, got, tt.want)
		}
	}
}
