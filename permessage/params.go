package permessage

import (
	"errors"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire/deflate"
)

// extensionName is the extension's name (RFC 7692, Section 9).
const extensionName = "permessage-deflate"

// params are the parameters of permessage-deflate, in an offer or an answer
// (RFC 7692, Section 7.1).
type params struct{ server, client side }

// side are the parameters for the compression of one side.
type side struct {
	noContextTakeover bool
	windowBits        int  // 8 to 15; 0: max_window_bits is absent or bare
	bareBits          bool // max_window_bits has no value
}

// errNotOurs is parseParams's error for another extension.
var errNotOurs = errors.New("is not " + extensionName)

// parseParams returns the parameters of e. A parameter that is unknown,
// repeated or has an invalid value is an error (RFC 7692, Section 7).
func parseParams(e handshake.Extension) (p params, err error) {
	if !strings.EqualFold(e.Name, extensionName) {
		return p, errNotOurs
	}
	for _, param := range e.Params {
		known := false
		for _, s := range []struct {
			prefix string
			*side
		}{{"server_", &p.server}, {"client_", &p.client}} {
			rest, ok := strings.CutPrefix(strings.ToLower(param.Name), s.prefix)
			if !ok {
				continue
			}
			known, err = s.set(rest, param)
			if err != nil {
				return p, err
			}
		}
		if !known {
			return p, paramError(param, "is unknown")
		}
	}
	return p, nil
}

// set sets the parameter with the given name behind "server_" or "client_". It
// reports whether the name is known.
func (s *side) set(name string, param handshake.Param) (known bool, err error) {
	switch name {
	case "no_context_takeover":
		switch {
		case s.noContextTakeover:
			return true, paramError(param, "is repeated")
		case param.HasValue || param.Value != "":
			return true, paramError(param, "must have no value")
		}
		s.noContextTakeover = true
	case "max_window_bits":
		if s.hasBits() {
			return true, paramError(param, "is repeated")
		}
		if !param.HasValue && param.Value == "" {
			s.bareBits = true
			return true, nil
		}
		if s.windowBits = parseBits(param.Value); s.windowBits == 0 {
			return true, paramError(param, "must be 8 to 15")
		}
	default:
		return false, nil
	}
	return true, nil
}

// hasBits reports whether max_window_bits is present.
func (s *side) hasBits() bool { return s.bareBits || s.windowBits > 0 }

// parseBits returns the value of max_window_bits, a decimal number from 8 to 15
// without leading zeros, and 0 for other text.
func parseBits(s string) int {
	for bits := deflate.MinWindowBits; bits <= deflate.MaxWindowBits; bits++ {
		if s == strconv.Itoa(bits) {
			return bits
		}
	}
	return 0
}

// paramError returns an error about a parameter, which is quoted.
func paramError(param handshake.Param, reason string) error {
	text := param.Name
	if param.HasValue || param.Value != "" {
		text += "=" + param.Value
	}
	const most = 100
	return errors.New(strconv.Quote(text[:min(len(text), most)]) + " " + reason)
}

// extension returns p as a member of an extension list.
func (p params) extension() handshake.Extension {
	e := handshake.Extension{Name: extensionName}
	e.Params = p.server.append(e.Params, "server_")
	e.Params = p.client.append(e.Params, "client_")
	return e
}

func (s *side) append(list []handshake.Param, prefix string) []handshake.Param {
	if s.noContextTakeover {
		list = append(list, handshake.Param{Name: prefix + "no_context_takeover"})
	}
	if s.hasBits() {
		param := handshake.Param{Name: prefix + "max_window_bits"}
		if !s.bareBits {
			param.Value, param.HasValue = strconv.Itoa(s.windowBits), true
		}
		list = append(list, param)
	}
	return list
}
