//go:build !portable

package server

import (
	"net/netip"
	"sync/atomic"
	"testing"
)

// The addresses of a connection are the same after they have been put into less
// room; those of IPv4 that came over an IPv6 socket are shown as of IPv4.
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
