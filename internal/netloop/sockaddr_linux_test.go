//go:build !portable

package netloop

import (
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

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
