package endpoint

import "math"

// Role is the side of the connection that an endpoint is on.
type Role uint8

const (
	Client Role = iota // masks the frames that it sends; refuses masked frames
	Server             // sends frames without a mask; refuses frames without one
)

// DefaultMessageLimit is the default of Limits.Message, in bytes.
const DefaultMessageLimit = 16 << 20

// Limits bound the input that an endpoint accepts. The connection of a peer
// that exceeds one fails with a *LimitError.
type Limits struct {
	// Frame is the largest payload of a data frame, in bytes. It is checked
	// when the header arrives. By default it is Message; negative means no
	// limit but Message.
	Frame int64

	// Message is the largest payload of a message, in bytes over all frames. It
	// is checked when the header of each frame arrives. The default is 16 MiB;
	// negative means no limit.
	Message int64

	// MessagesPerSecond, BytesPerSecond and ControlsPerSecond are the largest
	// numbers of messages, payload bytes and control frames (Pings and Pongs)
	// per second, both on average and in one burst. By default, and if
	// negative, there is no limit. See Endpoint.Receive for the time.
	MessagesPerSecond, BytesPerSecond, ControlsPerSecond int64
}

// withDefaults returns l with limits that can be compared as they are.
func (l Limits) withDefaults() Limits {
	if l.Message == 0 {
		l.Message = DefaultMessageLimit
	}
	if l.Message < 0 {
		l.Message = math.MaxInt64
	}
	if l.Frame <= 0 || l.Frame >= l.Message {
		l.Frame = math.MaxInt64 // Message bounds a frame, and its error says more
	}
	return l
}

// Config configures an endpoint. The zero value is a client with default
// limits.
type Config struct {
	Role   Role
	Limits Limits

	// Partial requests messages piece by piece as they arrive: see KindPartial.
	// By default messages are assembled.
	Partial bool

	// Background runs a function on another goroutine. It is for a writer that
	// may block until the peer reads: replies to Pings and Close frames are
	// then written by Background, and Receive does not wait for the writer. Two
	// endpoints whose Receive waited for each other would not recover. By
	// default Receive writes the replies itself.
	Background func(func())

	// MaxOutgoingFrame is the largest payload of a sent data frame, in bytes. A
	// longer message is sent in fragments. 0 or less means no limit.
	MaxOutgoingFrame int

	// Compression is the negotiated compression of messages. By default nothing
	// is compressed, and a compressed message from the peer breaks a rule.
	Compression Compression
}

// SharedConfig is a Config in the form that endpoints use. A server makes one
// for all of its endpoints.
type SharedConfig struct {
	role        Role
	partial     bool
	limits      Limits // withDefaults
	limitsRates bool   // a limit per second is set
	background  func(func())
	maxFrame    int // Config.MaxOutgoingFrame; math.MaxInt without a limit
	compression Compression
	threshold   int // size of the smallest message that is compressed
}

// NewSharedConfig returns cfg for use with Endpoint.Init.
func NewSharedConfig(cfg Config) *SharedConfig {
	shared := &SharedConfig{
		role:       cfg.Role,
		partial:    cfg.Partial,
		background: cfg.Background,
		maxFrame:   cfg.MaxOutgoingFrame,

		compression: cfg.Compression,
		threshold:   noThreshold,
	}
	if shared.maxFrame <= 0 {
		shared.maxFrame = math.MaxInt
	}
	if shared.compression != nil {
		shared.threshold = shared.compression.threshold()
	}
	shared.setLimits(cfg.Limits)
	return shared
}

func (c *SharedConfig) setLimits(l Limits) {
	c.limits = l.withDefaults()
	c.limitsRates = l.MessagesPerSecond > 0 || l.BytesPerSecond > 0 || l.ControlsPerSecond > 0
}

// SetLimits replaces the limits of this endpoint. They apply to frames whose
// header arrives afterwards.
func (e *Endpoint) SetLimits(l Limits) {
	own := *e.config()
	own.setLimits(l)
	e.receiver.cfg.Store(&own)
}

// config returns the current configuration.
func (e *Endpoint) config() *SharedConfig { return e.receiver.cfg.Load() }

// NeedsTime reports whether Receive uses its time: if a limit per second is
// set.
func (e *Endpoint) NeedsTime() bool { return e.config().limitsRates }
