package differential

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// CompareHead returns an error if data begins with an opening handshake that
// fibersock accepts, and net/http finds another resource, another host, a body,
// or another end.
func CompareHead(data []byte) error {
	var p handshake.RequestParser
	r, n, err := p.Parse(data)
	if r == nil || err != nil {
		return nil
	}
	if _, err := handshake.ValidateRequest(r); err != nil {
		return nil
	}
	buffered := bufio.NewReader(bytes.NewReader(data))
	other, err := http.ReadRequest(buffered)
	if err != nil {
		if stricter(r, err) {
			return nil
		}
		return fmt.Errorf("net/http refuses it: %w", err)
	}
	body, err := io.ReadAll(other.Body)
	rest, _ := io.ReadAll(buffered)
	switch {
	case err != nil || len(body) > 0:
		return fmt.Errorf("net/http sees a body of %q (%v)", body, err)
	case !bytes.Equal(rest, data[n:]):
		return fmt.Errorf("net/http leaves %q, fibersock %q", rest, data[n:])
	case other.RequestURI != r.Target, other.Method != r.Method, other.Host != r.Host():
		return fmt.Errorf("net/http sees %s %q of %q, fibersock %s %q of %q", other.Method, other.RequestURI, other.Host, r.Method, r.Target, r.Host())
	}
	return nil
}

// stricter reports whether net/http refuses the target as a URL, for example a
// percent sign without two digits. fibersock does not parse the target. A
// request that a proxy refuses smuggles nothing.
func stricter(r *handshake.Request, err error) bool {
	return strings.Contains(err.Error(), "parse ") && strings.Contains(err.Error(), "invalid")
}
