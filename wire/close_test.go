package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// TestClosePayloadOnTheWire compares both directions with one literal.
func TestClosePayloadOnTheWire(t *testing.T) {
	ascii, accented := strings.Repeat("r", 123), strings.Repeat("é", 61)+"r"
	tests := []struct {
		name   string
		wire   string
		code   wire.StatusCode
		reason string
	}{
		{"6455-5.5.1-a code alone", "03e8", 1000, ""},
		{"6455-5.5.1-a big-endian", "03e9 627965", 1001, "bye"},
		{"6455-5.5.1-b U+FFFD is a character", "03e8 efbfbd", 1000, "\ufffd"},
		{"6455-5.5.1-b beyond ASCII", "0fa0 cebae1bdb9cf83cebcceb5", 4000, "κ\u1f79σμε"},
		{"IANA-close-a 1012", "03f4", wire.ServiceRestart, ""},
		{"IANA-close-a 1013", "03f5", wire.TryAgainLater, ""},
		{"IANA-close-a 1014", "03f6", wire.BadGateway, ""},
		{"IANA-close-a 3000", "0bb8", wire.Unauthorized, ""},
		{"6455-7.4-j 4999", "1387", 4999, ""},
		{"6455-5.5.1-c reason of 123 bytes", "03e8" + strings.Repeat("72", 123), 1000, ascii},
		{"6455-5.5.1-c reason of 123 bytes, fewer characters", "03e8" + strings.Repeat("c3a9", 61) + "72", 1000, accented},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := unhex(tt.wire)
			got, err := wire.AppendClosePayload([]byte("kept"), tt.code, tt.reason)
			if string(got) != "kept"+string(p) || err != nil {
				t.Errorf("AppendClosePayload(%d, %q) appends %x, error %v; want %x", tt.code, tt.reason, got[4:], err, p)
			}
			code, reason, err := wire.ParseClosePayload(p)
			if code != tt.code || string(reason) != tt.reason || err != nil {
				t.Errorf("ParseClosePayload(%x) = %v, %q, %v; want %v, %q", p, code, reason, err, tt.code, tt.reason)
			}
			if len(p) > wire.MaxControlPayload {
				t.Errorf("%d bytes do not fit a control frame", len(p))
			}
		})
	}
}

// TestEmptyClosePayload checks that code 0 has an empty payload, which is
// reported as 1005 (6455-5.5.1-a, 6455-5.5.1-g).
func TestEmptyClosePayload(t *testing.T) {
	if got, err := wire.AppendClosePayload([]byte("kept"), 0, ""); string(got) != "kept" || err != nil {
		t.Errorf("AppendClosePayload(0) = %q, %v", got, err)
	}
	for _, p := range [][]byte{nil, {}} {
		code, reason, err := wire.ParseClosePayload(p)
		if code != wire.NoStatusReceived || len(reason) != 0 || err != nil {
			t.Errorf("ParseClosePayload of nothing = %v, %q, %v; want %v", code, reason, err, wire.NoStatusReceived)
		}
	}
}

// TestClosePayloadThatIsRefused checks that dst is unchanged after an error.
func TestClosePayloadThatIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		code   wire.StatusCode
		reason string
		want   error
	}{
		{"6455-7.4-c 1", 1, "", wire.ErrStatusCode},
		{"6455-7.4-c 999", 999, "", wire.ErrStatusCode},
		{"6455-7.4-b 1004", 1004, "", wire.ErrStatusCode},
		{"6455-7.4-a 1005", wire.NoStatusReceived, "", wire.ErrStatusCode},
		{"6455-7.4-a 1006", wire.AbnormalClosure, "", wire.ErrStatusCode},
		{"6455-7.4-a 1015", wire.TLSHandshake, "", wire.ErrStatusCode},
		{"6455-7.4-d 1016", 1016, "", wire.ErrStatusCode},
		{"6455-7.4-d 2999", 2999, "", wire.ErrStatusCode},
		{"6455-7.4-k 5000", 5000, "", wire.ErrStatusCode},
		{"6455-7.4-k 65535", 65535, "", wire.ErrStatusCode},
		{"6455-7.4-k 65536, which two bytes would make 0", 65536, "", wire.ErrStatusCode},
		{"6455-7.4-k 66536, which two bytes would make 1000", 66536, "", wire.ErrStatusCode},
		{"6455-7.4-k 70000", 70000, "", wire.ErrStatusCode},
		{"6455-7.4-k -1", -1, "", wire.ErrStatusCode},
		{"6455-7.4-k -64536, which two bytes would make 1000", -64536, "", wire.ErrStatusCode},
		{"6455-5.5.1-a reason without a code", 0, "bye", wire.ErrReasonWithoutCode},
		{"6455-5.5.1-c reason of 124 bytes", 1000, strings.Repeat("r", 124), wire.ErrReasonTooLong},
		{"6455-5.5.1-c reason of 124 bytes, 62 characters", 1000, strings.Repeat("é", 62), wire.ErrReasonTooLong},
		{"6455-5.5.1-c reason of 64 KiB", 1000, strings.Repeat("r", 1<<16), wire.ErrReasonTooLong},
		{"6455-5.5.1-b reason that is no UTF-8", 1000, "\xc3\x28", wire.ErrInvalidUTF8},
		{"6455-5.5.1-b reason cut inside a code point", 1000, "\xe2\x82", wire.ErrInvalidUTF8},
		{"6455-5.5.1-b surrogate", 1000, "\xed\xa0\x80", wire.ErrInvalidUTF8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := []byte("kept, and room behind")[:4]
			got, err := wire.AppendClosePayload(dst, tt.code, tt.reason)
			if !errors.Is(err, tt.want) || string(got) != "kept" {
				t.Errorf("AppendClosePayload(%d, %.20q) = %q, error %v; want error %v", tt.code, tt.reason, got, err, tt.want)
			}
			if string(dst[:21]) != "kept, and room behind" {
				t.Errorf("AppendClosePayload(%d, %.20q) wrote %q", tt.code, tt.reason, dst[:21])
			}
		})
	}
}

// TestClosePayloadThatFailsTheConnection checks the rule of each error. The
// code and the reason are returned with the error.
func TestClosePayloadThatFailsTheConnection(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want *wire.Error
	}{
		{"6455-5.5.1-a T-H11 one byte", "03", wire.ErrClosePayload},
		{"6455-5.5.1-a T-H11 one byte, NUL", "00", wire.ErrClosePayload},
		{"6455-7.4-c 0", "0000", wire.ErrStatusCode},
		{"6455-7.4-c 999", "03e7", wire.ErrStatusCode},
		{"6455-7.4-b 1004", "03ec", wire.ErrStatusCode},
		{"6455-7.4-a 1005", "03ed", wire.ErrStatusCode},
		{"6455-7.4-a 1006", "03ee", wire.ErrStatusCode},
		{"6455-7.4-a 1015", "03f7", wire.ErrStatusCode},
		{"6455-7.4-d 1016", "03f8", wire.ErrStatusCode},
		{"6455-7.4-d 2999", "0bb7", wire.ErrStatusCode},
		{"6455-7.4-d 5000", "1388", wire.ErrStatusCode},
		{"6455-7.4-d 65535", "ffff", wire.ErrStatusCode},
		{"6455-7.4-a 1005 with a reason", "03ed 627965", wire.ErrStatusCode},
		{"6455-7.4-c before 6455-5.5.1-b", "0000 c328", wire.ErrStatusCode},
		{"6455-5.5.1-b no UTF-8", "03e8 c328", wire.ErrInvalidUTF8},
		{"6455-5.5.1-b cut after 2 of 3", "03e8 e282", wire.ErrInvalidUTF8},
		{"6455-5.5.1-b cut after 3 of 4", "03e8 61 f09080", wire.ErrInvalidUTF8},
		{"6455-5.5.1-b surrogate", "03e8 eda080", wire.ErrInvalidUTF8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := unhex(tt.wire)
			var wantCode wire.StatusCode
			var wantReason []byte
			if len(p) > 1 {
				wantCode, wantReason = wire.StatusCode(p[0])<<8|wire.StatusCode(p[1]), p[2:]
			}
			code, reason, err := wire.ParseClosePayload(p)
			if !errors.Is(err, tt.want) || code != wantCode || string(reason) != string(wantReason) {
				t.Errorf("ParseClosePayload(%s) = %v, %q, %v; want %v, %q, %v", tt.wire, code, reason, err, wantCode, wantReason, tt.want)
			}
		})
	}
}

// TestReceivedReasonIsPartOfThePayload checks that the reason aliases the
// payload and has no capacity beyond it.
func TestReceivedReasonIsPartOfThePayload(t *testing.T) {
	p := unhex("03e8 627965")
	_, reason, err := wire.ParseClosePayload(p)
	if err != nil || len(reason) != 3 || &reason[0] != &p[2] {
		t.Errorf("ParseClosePayload = reason %q, error %v; want the last 3 bytes of the payload themselves", reason, err)
	}
}
