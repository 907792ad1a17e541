package hostile

import (
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// Check compares the end of the victim's connection, its status code (0 for
// none) and the victim's error with o.
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

// late is the outcome of incomplete messages.
var late = failed(wire.PolicyViolation, "AssemblyTimeout")
