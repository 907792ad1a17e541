package handshake

import "strconv"

// SelectSubprotocol returns the first subprotocol offered that is supported, "" if none
// is: the client's order of preference decides. Names are compared with regard to
// case. The result is a string of supported, so that it neither holds nor repeats what the
// client sent.
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

// parseSubprotocols reads all Sec-WebSocket-Protocol lines as one list of tokens, which
// must have a member if there is a line (RFC 6455, Section 11.3.4). reason is empty if
// it could. It repeats none of them, because some programs send tokens of access as
// subprotocols: browsers let them set no other field.
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
				return nil, "it names more than " + strconv.Itoa(maxListMembers) + " subprotocols"
			}
			list = append(list, name)
		}
	}
	if lines > 0 && len(list) == 0 {
		return nil, "it is empty"
	}
	return list, ""
}
