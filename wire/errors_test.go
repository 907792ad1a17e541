package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// TestErrorsCanBeSent checks that each error fits the Close frame to the peer,
// with 1007 for invalid text and 1002 otherwise (6455-7.4-e, -f).
func TestErrorsCanBeSent(t *testing.T) {
	rules := []*wire.Error{
		wire.ErrReservedOpcode, wire.ErrFragmentedControl, wire.ErrControlTooLong, wire.ErrNonMinimalLength, wire.ErrLengthTopBit,
		wire.ErrClosePayload, wire.ErrStatusCode, wire.ErrReasonTooLong, wire.ErrReasonWithoutCode, wire.ErrInvalidUTF8,
	}
	seen := map[string]bool{}
	for _, rule := range rules {
		want := wire.ProtocolError
		if rule == wire.ErrInvalidUTF8 {
			want = wire.InvalidFramePayloadData
		}
		check.Equal(t, rule.Code, want, "%v carries", rule)
		check.OKf(t, check.Err(wire.AppendClosePayload(nil, rule.Code, rule.Reason)), "%v does not fit a Close frame", rule)
		if rule.Reason == "" || rule.Error() != "websocket: "+rule.Reason {
			t.Errorf("%q says %q", rule.Reason, rule.Error())
		}
		if strings.ContainsAny(rule.Reason, "\r\n\x00") || seen[rule.Reason] {
			t.Errorf("%q is not one line, or not unique", rule.Reason)
		}
		seen[rule.Reason] = true

		var found *wire.Error
		wrapped := fmt.Errorf("frame 7: %w", rule)
		if !errors.Is(wrapped, rule) || !errors.As(wrapped, &found) || found != rule {
			t.Errorf("%v is not found in %v", rule, wrapped)
		}
	}
}
