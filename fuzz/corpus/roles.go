package corpus

import (
	"fmt"
	"slices"
)

// roles returns the scripts for both roles.
func (s *Script) roles() (client, server *Script, err error) {
	client, server = s.as(Client), s.as(Server)
	var peer masker
	for i := range s.Steps {
		a := &server.Steps[i].Action
		if a.Kind == Input {
			if a.Bytes, err = peer.mask(a.Bytes); err != nil {
				return nil, nil, fmt.Errorf("in at line %d: %w", server.Steps[i].Line, err)
			}
		}
		for j := range client.Steps[i].Out {
			f := &client.Steps[i].Out[j]
			var own masker
			if f.Bytes, err = own.mask(f.Bytes); err != nil {
				return nil, nil, fmt.Errorf("out at line %d: %w", f.Line, err)
			}
		}
	}
	return client, server, nil
}

// as returns a copy of s for the role r, with its own steps and outs.
func (s *Script) as(r Role) *Script {
	c := *s
	c.Role = r
	c.Steps = slices.Clone(s.Steps)
	for i := range c.Steps {
		c.Steps[i].Out = slices.Clone(s.Steps[i].Out)
	}
	return &c
}
