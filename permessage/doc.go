// Package permessage negotiates and applies permessage-deflate, the compression
// extension of WebSocket (RFC 7692). Clients and servers use it by their
// configuration:
//
//	deflate := new(permessage.Deflate) // one value for all connections
//	s := &server.Server{Compression: deflate}
//	c, err := client.Dial(ctx, url, &client.Config{Compression: deflate})
//
// A program that does not import the package contains no code for compression.
//
// # Security
//
// The size of a compressed message depends on its content. An attacker who sees
// sizes, and whose text is compressed together with a secret, learns the secret
// step by step: the attacks CRIME and BREACH. With context takeover, a message
// is compressed together with earlier ones. Send such messages with
// SendUncompressed, or do not compress: docs/compression.md.
package permessage
