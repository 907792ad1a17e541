package endpoint

import (
	"math"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// Codec compresses and decompresses messages in the way that the opening
// handshake has negotiated (RFC 7692). One Codec serves any number of
// endpoints, on any goroutines. Package permessage has one.
type Codec interface {
	// NewCoder returns the Coder of one endpoint. It is called with the first
	// compressed message, in either direction. If one is sent and one received
	// at the same time, it is called for both, and one of the Coders is not used.
	NewCoder() Coder

	// AppendShared appends the compressed payload of a message to dst. All
	// endpoints can send it, whatever they have sent before. It reports false
	// if the message is better sent uncompressed; out then has the bytes of dst.
	AppendShared(dst, p []byte) (out []byte, ok bool)

	// Threshold is the size in bytes from which messages are compressed.
	Threshold() int

	// String returns the negotiated extension with its parameters.
	String() string
}

// Coder compresses and decompresses the messages of one endpoint. One goroutine
// may call the methods of its Compressor while another one calls those of its
// Decompressor.
type Coder interface {
	Compressor
	Decompressor
}

// Compressor compresses the messages that an endpoint sends, in order. One
// goroutine at a time calls it.
type Compressor interface {
	// AppendMessage appends the compressed payload of the message p to dst. It
	// reports false if the message is better sent uncompressed; out then has the
	// bytes of dst, and the Compressor is unchanged.
	AppendMessage(dst, p []byte) (out []byte, ok bool)

	// AppendFragment appends the compressed payload of a fragment. A message of
	// fragments must be sent compressed.
	AppendFragment(dst, p []byte, final bool) (out []byte)

	// AddPlain notes that the message p has been sent in the form of
	// Codec.AppendShared.
	AddPlain(p []byte)
}

// Decompressor decompresses the messages that an endpoint receives, in order.
// One goroutine at a time calls it.
type Decompressor interface {
	// Append decompresses src, the next part of a message's payload, and
	// appends at most limit bytes to dst. final marks the last part. n is the
	// number of bytes of src that it has used. If Pending reports true, there
	// is more output for the next call, which gets the rest of src. Otherwise n
	// is len(src). An error is final.
	Append(dst, src []byte, final bool, limit int) (out []byte, n int, err error)

	// Pending reports whether the last call has reached its limit.
	Pending() bool

	// Park releases memory that is needed during a call only. It is called when
	// the rest of a message has not arrived.
	Park()
}

// Compression is a negotiated compression of messages: see NewCompression.
//
// Its other methods are the engine's code for compressed messages. They are
// called by way of this interface only: the linker leaves them out of a program
// that does not call NewCompression.
type Compression interface {
	// String returns the negotiated extension with its parameters.
	String() string

	threshold() int
	send(e *Endpoint, op wire.Opcode, p []byte) error
	writeFragment(s *sender, cfg *SharedConfig, op wire.Opcode, p []byte, first, final bool) error
	receive(e *Endpoint, cfg *SharedConfig, now time.Time, b []byte) (ev Event, used int, err error)
}

// preparedCompression is a Compression that sends Prepared messages. It is an
// interface of its own because programs without Prepared are smaller.
type preparedCompression interface {
	form(s *sender, m *Prepared) *Prepared
}

// NewCompression returns c for use with Config.Compression. Compressions of
// equal codecs are equal.
func NewCompression(c Codec) Compression { return compression{c} }

// compression implements Compression.
type compression struct{ Codec }

// threshold returns SharedConfig.threshold.
func (c compression) threshold() int { return max(c.Threshold(), 0) }

// noThreshold is SharedConfig.threshold without compression.
const noThreshold = math.MaxInt

// Compression returns the negotiated extension with its parameters, "" if
// messages are not compressed.
func (e *Endpoint) Compression() string {
	if cfg := e.config(); cfg != nil && cfg.compression != nil {
		return cfg.compression.String()
	}
	return ""
}
