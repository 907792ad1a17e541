package server

import (
	"net"
	"testing"
)

// Addresses with the same key share MaxConnsPerAddr.
func TestAddressKey(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1/32",
		"::ffff:192.0.2.1":     "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::":  "2001:db8:1:2::/64",
		"::1":                  "::/64",
	} {
		if got := addrKey(&net.TCPAddr{IP: net.ParseIP(addr), Port: 1}).String(); got != want {
			t.Errorf("the key of %s is %s, want %s", addr, got, want)
		}
	}
	if got := addrKey(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}).String(); got != "fe80::/64" {
		t.Errorf("the key of an address with a zone is %s", got)
	}
	for _, addr := range []net.Addr{&net.TCPAddr{}, &net.UnixAddr{Name: "/s", Net: "unix"}} {
		if got := addrKey(addr); got.IsValid() {
			t.Errorf("the key of %v is %v", addr, got)
		}
	}
}
