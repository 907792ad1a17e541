package handshake

import "strconv"

// SelectSubprotocol returns the first offered subprotocol that is supported, or
// "" if none is. The client's order of preference decides. Names are
// case-sensitive. The result is a string of supported, so it does not retain
// the request.
func SelectSubprotocol(offered, supported []string) string {
	for _, offer := range offered {
		for _, name := range supported {
			if offer == name {
				return name
			}
		}
	}
	return ""
}

// parseSubprotocols parses all Sec-WebSocket-Protocol lines as one list of
// tokens (RFC 6455, Section 11.3.4). A list without members is an error unless
// there is no line. The reason is empty on success. It repeats no subprotocol,
// because some applications send access tokens in this field, the only one that
// a browser lets them set.
func (h Header) parseSubprotocols() (list []string, reason string) {
	lines := 0
	for _, f := range h {
		if !equalFold(f.Name, fieldProtocol) {
			continue
		}
		lines++
		for name, rest := nextMember(f.Value); name != ""; name, rest = nextMember(rest) {
			if !ValidToken(name) {
				return nil, "subprotocol " + strconv.Itoa(len(list)+1) + " is not a token"
			}
			if len(list) == maxListMembers {
				return nil, "more than " + strconv.Itoa(maxListMembers) + " subprotocols"
			}
			list = append(list, name)
		}
	}
	if lines > 0 && len(list) == 0 {
		return nil, "empty list"
	}
	return list, ""
}
