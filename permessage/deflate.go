package permessage

import (
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire/deflate"
)

// Mode tells whether a message may refer to earlier ones of the connection.
type Mode uint8

const (
	// ContextTakeover compresses messages best: each may refer to the earlier
	// ones. A connection keeps up to 1<<WindowBits bytes for each direction
	// that has had a compressed message: 8 KiB in all by default.
	ContextTakeover Mode = iota

	// NoContextTakeover compresses each message by itself, in both directions.
	// A connection keeps no text between messages.
	NoContextTakeover
)

// Level is the effort of compression.
type Level int

// The levels.
const (
	LevelDefault Level = deflate.LevelDefault // small output for little time
	LevelFast    Level = deflate.LevelFast    // less time, more bytes
	LevelBest    Level = deflate.LevelBest    // more time, fewer bytes
)

// Defaults of Deflate.
const (
	DefaultWindowBits = 12

	DefaultThreshold           = 256 // bytes
	DefaultThresholdOfTakeover = 64  // bytes
)

// Deflate is permessage-deflate, for client.Config.Compression and
// server.Server.Compression. The zero value has all defaults. One value serves
// any number of clients and servers. Its fields must not be changed while it is
// in use.
type Deflate struct {
	// Mode tells whether messages may refer to earlier ones. The default is
	// ContextTakeover. The peer can forbid it in either direction.
	Mode Mode

	// WindowBits is the base-2 logarithm of the window, in bytes, of both
	// directions: 8 to 15 (RFC 7692, Section 7.1.2). The default is 12, 4 KiB;
	// other values mean the nearest of these. This side never uses a larger
	// window. A client asks the server to use none either, and accepts 32 KiB
	// from a server that cannot. A server asks that of clients that can, and
	// lets the others compress each message by itself.
	//
	// Zlib, and so most peers, cannot compress with 8.
	WindowBits int

	// Level is the effort of compression. The default is LevelDefault.
	Level Level

	// Threshold is the size, in bytes, from which messages are compressed. The
	// default is 64 if they may refer to earlier ones, and 256 otherwise. A
	// negative value means all messages. A message that compression does not
	// make smaller is sent uncompressed in any case.
	Threshold int

	// MemoryBudget bounds the bytes of the windows of all connections. The
	// default is no limit. Beyond it, the senders that have been idle longest
	// forget their windows: their next message is compressed by itself. While
	// that is not enough, because the windows of receivers cannot be forgotten,
	// new connections are opened without compression. See Stats. With a budget,
	// each compressed message costs one more lock, which all connections share.
	MemoryBudget int64

	budget budget
}

// windowBits returns WindowBits without its default.
func (o *Deflate) windowBits() int {
	if o.WindowBits == 0 {
		return DefaultWindowBits
	}
	return min(max(o.WindowBits, deflate.MinWindowBits), deflate.MaxWindowBits)
}

// Offers returns a client's offers of the extension, the preferred one first.
//
// It returns none beyond MemoryBudget.
func (o *Deflate) Offers() []handshake.Extension {
	if o.decline() {
		return nil
	}
	var list []handshake.Extension
	for _, p := range o.offers() {
		list = append(list, p.extension())
	}
	return list
}

// Answer returns a server's answer to the offers of a client: one extension, or
// none if no offer of permessage-deflate is valid, or beyond MemoryBudget. It
// does not retain offers.
func (o *Deflate) Answer(offers []handshake.Extension) []handshake.Extension {
	p, ok := o.answer(offers)
	if !ok || o.decline() {
		return nil
	}
	return []handshake.Extension{p.extension()}
}

// negotiated returns the compression of a client for the server's answer to its
// Offers, nil if the answer is empty.
func (o *Deflate) negotiated(answer []handshake.Extension) (endpoint.Compression, error) {
	if len(answer) == 0 {
		return nil, nil
	}
	p, err := agreed(answer, o.offers())
	if err != nil {
		return nil, &handshake.ResponseError{Field: extensionsField, Reason: err.Error()}
	}
	return endpoint.NewCompression(codec{o, p, endpoint.Client}), nil
}

// Negotiate returns the compression of a client for the server's answer in
// response to the Offers in offer, nil if there is no answer. The error is a
// *handshake.ResponseError, for an answer that accepts no offer.
func (o *Deflate) Negotiate(response *handshake.Response, offer *handshake.ClientOffer) (endpoint.Compression, error) {
	answer, err := handshake.NegotiatedExtensions(response, offer)
	if err != nil {
		return nil, err
	}
	return o.negotiated(answer)
}

// Accepted returns the compression of a server whose answer is accepted: that
// of Answer, nil if it is empty. The error is a *handshake.FieldError for an
// answer that is no answer.
func (o *Deflate) Accepted(answer []handshake.Extension) (endpoint.Compression, error) {
	if len(answer) == 0 {
		return nil, nil
	}
	p, err := agreed(answer, nil)
	if err != nil {
		return nil, &handshake.FieldError{Field: extensionsField, Reason: err.Error()}
	}
	return endpoint.NewCompression(codec{o, p, endpoint.Server}), nil
}

const extensionsField = "Sec-WebSocket-Extensions"

// codec is an endpoint.Codec: permessage-deflate with agreed parameters. It is
// comparable; connections with equal parameters share a configuration.
type codec struct {
	owner *Deflate
	params
	role endpoint.Role
}

// sides returns the parameters for the messages of this side and of the peer.
// This side keeps to its Mode also if the answer does not ask for it: an offer
// of client_no_context_takeover is a promise (RFC 7692, Section 7.1.1.2).
func (c codec) sides() (own, peer side) {
	own, peer = c.server, c.client
	if c.role == endpoint.Client {
		own, peer = peer, own
	}
	own.noContextTakeover = own.noContextTakeover || c.owner.Mode == NoContextTakeover
	return own, peer
}

// coder is an endpoint.Coder, in one allocation.
type coder struct {
	deflate.Compressor
	deflate.Decompressor
}

// AddPlain implements endpoint.Coder. A connection that has only shared messages
// gets no window for them.
func (c *coder) AddPlain(p []byte) {
	if c.Compressor.Size() > 0 {
		c.Compressor.AddPlain(p)
	}
}

// NewCoder returns a compressor with the agreed window or a smaller one, and a
// decompressor with the agreed window, 15 bits if none is agreed.
func (c codec) NewCoder() endpoint.Coder {
	own, peer := c.sides()
	out := deflate.CompressorOptions{WindowBits: c.owner.windowBits(), Takeover: !own.noContextTakeover, Level: int(c.owner.Level)}
	if own.windowBits > 0 {
		out.WindowBits = min(out.WindowBits, own.windowBits)
	}
	in := deflate.DecompressorOptions{WindowBits: deflate.MaxWindowBits, Takeover: !peer.noContextTakeover}
	if peer.windowBits > 0 {
		in.WindowBits = peer.windowBits
	}
	if c.owner.MemoryBudget > 0 {
		return newBudgetCoder(c.owner, out, in)
	}
	coder := new(coder)
	coder.Compressor.Init(out)
	coder.Decompressor.Init(in)
	return coder
}

// AppendShared compresses a message for all connections.
func (c codec) AppendShared(dst, p []byte) (out []byte, ok bool) { return deflate.AppendShared(dst, p) }

// Threshold returns Deflate.Threshold or its default.
func (c codec) Threshold() int {
	own, _ := c.sides()
	switch {
	case c.owner.Threshold < 0:
		return 1
	case c.owner.Threshold > 0:
		return c.owner.Threshold
	case own.noContextTakeover:
		return DefaultThreshold
	}
	return DefaultThresholdOfTakeover
}

// String returns the agreed extension.
func (c codec) String() string { return string(handshake.AppendExtension(nil, c.extension())) }
