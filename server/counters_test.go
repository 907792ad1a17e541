package server

import (
	"net"
	"reflect"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// Every valid status code of a Close has a counter. Each registered code has
// its own, named as in the registry (RFC 6455, Sections 7.4.1 and 7.4.2).
func TestEveryStatusCodeIsCounted(t *testing.T) {
	want := map[string]uint64{
		"NormalClosure": 1, "GoingAway": 1, "ProtocolError": 1, "UnsupportedData": 1, "NoStatus": 1,
		"InvalidFramePayloadData": 1, "PolicyViolation": 1, "MessageTooBig": 1, "MandatoryExtension": 1, "InternalError": 1,
		"ServiceRestart": 1, "TryAgainLater": 1, "BadGateway": 1, "Libraries": 1000, "Applications": 1000,
	}
	var all CloseCodes
	for code := range wire.StatusCode(5000) {
		if !code.Valid() && code != wire.NoStatusReceived {
			continue
		}
		*all.of(code)++
		if code < 3000 {
			var one CloseCodes
			*one.of(code)++
			name := map[wire.StatusCode]string{
				1000: "NormalClosure", 1001: "GoingAway", 1002: "ProtocolError", 1003: "UnsupportedData", 1005: "NoStatus",
				1007: "InvalidFramePayloadData", 1008: "PolicyViolation", 1009: "MessageTooBig", 1010: "MandatoryExtension",
				1011: "InternalError", 1012: "ServiceRestart", 1013: "TryAgainLater", 1014: "BadGateway",
			}[code]
			if got := reflect.ValueOf(one).FieldByName(name); !got.IsValid() || got.Uint() != 1 {
				t.Errorf("%d is not counted as %s: %+v", code, name, one)
			}
		}
	}
	fields := reflect.ValueOf(all)
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		if got := fields.Field(i).Uint(); got != want[name] {
			t.Errorf("%d codes are counted as %s, want %d", got, name, want[name])
		}
	}
}

func TestPollersAreNotInEachOthersCacheLines(t *testing.T) {
	if size := reflect.TypeFor[shard]().Size(); size%128 != 0 {
		t.Errorf("a shard has %d bytes", size)
	}
}

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
