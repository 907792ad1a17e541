package hostile

import (
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// Check compares how the victim's connection has ended, with a status code if
// there was one and the victim's error, with what was wanted.
func (o Outcome) Check(end End, code wire.StatusCode, err error) error {
	if end != o.End || code != o.Code {
		return fmt.Errorf("%v with status code %d, want %v with %d: %v", end, code, o.End, o.Code, err)
	}
	for _, name := range o.Names {
		if strings.Contains(err.Error(), name) {
			return nil
		}
	}
	if len(o.Names) > 0 {
		return fmt.Errorf("%v; this names none of %q", err, o.Names)
	}
	return nil
}

func refused(names ...string) Outcome { return Outcome{End: Refused, Names: names} }

func failed(code wire.StatusCode, names ...string) Outcome {
	return Outcome{End: Failed, Code: code, Names: names}
}

func lost(names ...string) Outcome { return Outcome{End: Lost, Names: names} }

func closed(code wire.StatusCode) Outcome { return Outcome{End: Closed, Code: code} }

// late is the outcome of messages that do not come to their end.
var late = failed(wire.PolicyViolation, "AssemblyTimeout")
