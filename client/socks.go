package client

import (
	"context"
	"io"
	"net/netip"
	"strconv"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// The bytes of SOCKS5 (RFC 1928, and RFC 1929 for user and password).
const (
	socksVersion = 5
	socksConnect = 1 // command

	socksNoAuth       = 0 // methods
	socksUserPassword = 2
	socksNoMethod     = 0xff

	socksIPv4 = 1 // address types
	socksName = 3
	socksIPv6 = 4

	socksUserVersion = 1
)

// maxSOCKSText is the limit, in bytes, for a name, a user and a password: each
// is sent with its length in one byte.
const maxSOCKSText = 255

// SOCKSError reports that a SOCKS5 proxy refused, or cannot be used. It is the
// cause of a ProxyError.
type SOCKSError struct {
	Reply  byte   // of a proxy that cannot connect to the server (RFC 1928, Section 6); 0 for another reason
	Reason string // the meaning of Reply, or the reason
}

// Error returns a text with the reply and the reason.
func (e *SOCKSError) Error() string {
	if e.Reply == 0 {
		return "SOCKS: " + e.Reason
	}
	return "SOCKS reply " + strconv.Itoa(int(e.Reply)) + ": " + e.Reason
}

// isPermanent reports whether the proxy will refuse again.
func (e *SOCKSError) isPermanent() bool {
	switch e.Reply {
	case 0, 2, 7, 8:
		return true
	}
	return false
}

func socksError(reason string) error { return &SOCKSError{Reason: reason} }

// replyError returns the error for a reply other than 0.
func replyError(reply byte) error {
	reason := "unknown reply"
	if int(reply) < len(socksReplies) {
		reason = socksReplies[reply]
	}
	return &SOCKSError{Reply: reply, Reason: reason}
}

var socksReplies = [...]string{
	1: "general failure of the proxy",
	2: "the rules of the proxy forbid the connection",
	3: "network unreachable",
	4: "host unreachable (the proxy may not be able to resolve the name)",
	5: "connection refused by the server",
	6: "time to live expired",
	7: "command not supported",
	8: "address type not supported",
}

func checkSOCKSUser(user *handshake.Userinfo) error {
	switch {
	case user == nil:
		return nil
	case user.Username == "":
		return socksError("SOCKS5 needs a user for a password")
	case len(user.Username) > maxSOCKSText || len(user.Password) > maxSOCKSText:
		return socksError("user of " + strconv.Itoa(len(user.Username)) + " bytes and password of " + strconv.Itoa(len(user.Password)) + " bytes: SOCKS5 allows 255 each")
	}
	return nil
}

// prepareSOCKS returns the tunnel through a SOCKS5 proxy.
func (p *proxyServer) prepareSOCKS(d *dialer) (tunnel, error) {
	request, err := appendSOCKSRequest(nil, d.url.Host, d.url.Port)
	if err == nil {
		err = checkSOCKSUser(p.url.User)
	}
	if err != nil {
		return nil, p.failed(err)
	}
	return func(ctx context.Context, t netloop.Transport, err error) (netloop.Transport, error) {
		if err != nil {
			return nil, p.failedStep(ctx, unanswered(ctx, "connect", err))
		}
		if err = authenticateSOCKS(t, p.url.User); err == nil {
			err = connectSOCKS(t, request)
		}
		if err != nil {
			return nil, p.failedStep(ctx, err)
		}
		return t, nil
	}, nil
}

// appendSOCKSRequest appends the CONNECT request for host and port. A name is
// sent as a name: the proxy resolves it.
func appendSOCKSRequest(b []byte, host string, port uint16) ([]byte, error) {
	b = append(b, socksVersion, socksConnect, 0)
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.Zone() != "":
		return nil, errZoneThroughProxy
	case err == nil && ip.Is4():
		b = append(b, socksIPv4)
		b = append(b, ip.AsSlice()...)
	case err == nil:
		b = append(b, socksIPv6)
		b = append(b, ip.AsSlice()...)
	case len(host) > maxSOCKSText:
		return nil, socksError("host name of " + strconv.Itoa(len(host)) + " bytes: SOCKS5 allows 255")
	default:
		b = append(b, socksName, byte(len(host)))
		b = append(b, host...)
	}
	return append(b, byte(port>>8), byte(port)), nil
}

// authenticateSOCKS performs the negotiation of the method and, if the proxy
// selects it, the authentication by user and password.
func authenticateSOCKS(t netloop.Transport, user *handshake.Userinfo) error {
	greeting := []byte{socksVersion, 1, socksNoAuth}
	if user != nil {
		greeting = []byte{socksVersion, 2, socksNoAuth, socksUserPassword}
	}
	var answer [2]byte
	if err := exchangeSOCKS(t, "SOCKS greeting", greeting, answer[:]); err != nil {
		return err
	}
	switch version, method := answer[0], answer[1]; {
	case version != socksVersion:
		return wrongSOCKSVersion(version)
	case method == socksNoAuth:
		return nil
	case method == socksUserPassword && user != nil:
	case method == socksNoMethod && user == nil:
		return socksError("the proxy requires authentication (set user and password in the URL of the proxy)")
	case method == socksNoMethod:
		return socksError("the proxy accepts no user and password, and requires another authentication")
	default:
		return socksError("the proxy selected authentication method " + strconv.Itoa(int(method)) + ", which was not offered")
	}
	message := append([]byte{socksUserVersion, byte(len(user.Username))}, user.Username...)
	message = append(message, byte(len(user.Password)))
	message = append(message, user.Password...)
	if err := exchangeSOCKS(t, "SOCKS authentication", message, answer[:]); err != nil {
		return err
	}
	switch version, status := answer[0], answer[1]; {
	case version != socksUserVersion:
		return socksError("version " + strconv.Itoa(int(version)) + " of the authentication by user and password, want 1")
	case status != 0:
		return socksError("the proxy does not accept the user and password of its URL (status " + strconv.Itoa(int(status)) + ")")
	}
	return nil
}

// connectSOCKS sends the CONNECT request and reads the reply, and not a byte
// more: the next ones are the server's.
func connectSOCKS(t netloop.Transport, request []byte) error {
	const step = "SOCKS request"
	var reply [4]byte
	if err := exchangeSOCKS(t, step, request, reply[:]); err != nil {
		return err
	}
	switch {
	case reply[0] != socksVersion:
		return wrongSOCKSVersion(reply[0])
	case reply[1] != 0:
		return replyError(reply[1])
	}
	// The address and port of the proxy's own socket follow.
	size := 0
	switch reply[3] {
	case socksIPv4:
		size = 4
	case socksIPv6:
		size = 16
	case socksName:
		var length [1]byte
		if err := readSOCKS(t, step, length[:]); err != nil {
			return err
		}
		size = int(length[0])
	default:
		return socksError("unknown address type " + strconv.Itoa(int(reply[3])) + " in the SOCKS reply")
	}
	var rest [maxSOCKSText + 2]byte
	return readSOCKS(t, step, rest[:size+2])
}

// exchangeSOCKS writes message and reads an answer of a fixed size, in a step of
// the tunnel.
func exchangeSOCKS(t netloop.Transport, step string, message, answer []byte) error {
	if _, err := t.Write(message); err != nil {
		return &noReply{step, err}
	}
	return readSOCKS(t, step, answer)
}

func readSOCKS(t netloop.Transport, step string, p []byte) error {
	n, err := io.ReadFull(t, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = &incompleteReply{n, len(p)}
	}
	if err != nil {
		err = &noReply{step, err}
	}
	return err
}

// incompleteReply reports that the proxy closed the connection in a reply.
type incompleteReply struct{ got, want int }

func (e *incompleteReply) Error() string {
	return "the proxy closed the connection after " + strconv.Itoa(e.got) + " of " + strconv.Itoa(e.want) + " bytes of a SOCKS reply"
}

func (e *incompleteReply) Unwrap() error { return io.ErrUnexpectedEOF }

// wrongSOCKSVersion returns the error for a reply of another protocol.
func wrongSOCKSVersion(version byte) error {
	text := "version " + strconv.Itoa(int(version)) + " in the SOCKS reply, want 5"
	switch version {
	case 'H':
		text = "the proxy answers in HTTP, not in SOCKS5 (use an http URL)"
	case 0, 4:
		text += " (SOCKS4 is not supported)"
	}
	return socksError(text)
}
