package permessage

import (
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
)

// Negotiated is the part of Negotiate behind the parser of the response.
func (o *Deflate) Negotiated(answer []handshake.Extension) (endpoint.Compression, error) {
	return o.negotiated(answer)
}

// CheckAnswer returns why an answer accepts none of the given offers, which are
// valid.
func CheckAnswer(answer, offers []handshake.Extension) error {
	var list []params
	for _, e := range offers {
		p, err := parseParams(e)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	_, err := agreed(answer, list)
	return err
}
