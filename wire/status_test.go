package wire_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// naiveValid lists the codes that a Close frame may contain, by the ranges of
// the registry and of Section 7.4.2 (6455-7.4-d).
func naiveValid(code int) bool {
	assigned := []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
	libraries, private := code/1000 == 3, code/1000 == 4
	return slices.Contains(assigned, code) || libraries || private
}

// TestEveryStatusCode checks Valid and both directions of a Close payload for
// every value of two bytes and for larger ones (6455-7.4-a, -b, -c, -d, -j,
// -k).
func TestEveryStatusCode(t *testing.T) {
	for n := -70000; n <= 140000; n++ {
		code, want := wire.StatusCode(n), naiveValid(n)
		if code.Valid() != want {
			t.Fatalf("%d: Valid() = %v, want %v", n, code.Valid(), want)
		}
		if _, err := wire.AppendClosePayload(nil, code, ""); n != 0 && (err == nil) != want {
			t.Fatalf("%d: AppendClosePayload's error is %v, valid is %v", n, err, want)
		}
		if n < 0 || n > 0xffff {
			continue
		}
		got, _, err := wire.ParseClosePayload([]byte{byte(n >> 8), byte(n)})
		if got != code || (err == nil) != want || err != nil && !errors.Is(err, wire.ErrStatusCode) {
			t.Fatalf("%d: ParseClosePayload = %d, error %v, valid is %v", n, got, err, want)
		}
	}
}

// TestStatusCodeNames compares number, name and validity with the registry
// (6455-7.4-e, -f, -g, -h, -i, IANA-close-a).
func TestStatusCodeNames(t *testing.T) {
	tests := []struct {
		code   wire.StatusCode
		number int
		text   string
		string string
		valid  bool
	}{
		{wire.NormalClosure, 1000, "normal closure", "1000 (normal closure)", true},
		{wire.GoingAway, 1001, "going away", "1001 (going away)", true},
		{wire.ProtocolError, 1002, "protocol error", "1002 (protocol error)", true},
		{wire.UnsupportedData, 1003, "unsupported data", "1003 (unsupported data)", true},
		{1004, 1004, "", "1004", false},
		{wire.NoStatusReceived, 1005, "no status received", "1005 (no status received)", false},
		{wire.AbnormalClosure, 1006, "abnormal closure", "1006 (abnormal closure)", false},
		{wire.InvalidFramePayloadData, 1007, "invalid frame payload data", "1007 (invalid frame payload data)", true},
		{wire.PolicyViolation, 1008, "policy violation", "1008 (policy violation)", true},
		{wire.MessageTooBig, 1009, "message too big", "1009 (message too big)", true},
		{wire.MandatoryExtension, 1010, "mandatory extension", "1010 (mandatory extension)", true},
		{wire.InternalError, 1011, "internal error", "1011 (internal error)", true},
		{wire.ServiceRestart, 1012, "service restart", "1012 (service restart)", true},
		{wire.TryAgainLater, 1013, "try again later", "1013 (try again later)", true},
		{wire.BadGateway, 1014, "bad gateway", "1014 (bad gateway)", true},
		{wire.TLSHandshake, 1015, "TLS handshake", "1015 (TLS handshake)", false},
		{1016, 1016, "", "1016", false},
		{wire.Unauthorized, 3000, "unauthorized", "3000 (unauthorized)", true},
		{wire.Forbidden, 3003, "forbidden", "3003 (forbidden)", true},
		{wire.Timeout, 3008, "timeout", "3008 (timeout)", true},
		{4001, 4001, "", "4001", true},
		{0, 0, "", "0", false},
		{-1, -1, "", "-1", false},
		{70000, 70000, "", "70000", false},
	}
	for _, tt := range tests {
		if int(tt.code) != tt.number || tt.code.Text() != tt.text || tt.code.String() != tt.string || tt.code.Valid() != tt.valid {
			t.Errorf("%d: number %d, Text %q, String %q, Valid %v; want %d, %q, %q, %v", tt.number,
				int(tt.code), tt.code.Text(), tt.code.String(), tt.code.Valid(), tt.number, tt.text, tt.string, tt.valid)
		}
	}
}
