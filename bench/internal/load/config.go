package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// Defaults of the fields that may be zero.
const (
	defaultVerifyEvery = 64
	defaultTimeout     = 10 * time.Second
)

// Config is a run of Echo, Broadcast or Churn, or the connections of Hold.
//
// Each of an Echo's connections keeps InFlight messages on their way and sends
// the next for each reply. In a Broadcast the first connection sends, and all
// of them, that one too, receive. In a Churn each connection connects, has the
// opening handshake, PerConn messages echoed, the closing handshake and the end
// of TCP from the server, and begins anew.
type Config struct {
	Addr string      // host:port of the server
	TLS  *tls.Config // nil is plain TCP
	Path string      // request target; default "/"

	Conns     int         // connections at a time; default 1
	InFlight  int         // messages that are on their way at once, of each connection, or that not all receivers have yet; default 1; not of Churn
	Opcode    wire.Opcode // wire.Text or wire.Binary, the default
	Payload   []byte      // of each message, but for one byte, the stamp: the first ASCII byte of a text, the first byte of a binary message
	Payloads  [][]byte    // if there are any: the payloads of consecutive messages, over and over, in place of Payload; of one length and without a stamp; not of Broadcast
	Fragments int         // frames that a message of Echo is sent in; default 1
	Topics    int         // of a Broadcast: the connections are divided among so many topics, each with a sender of its own; default 0: all receive all
	PerConn   int         // messages of each connection of a Churn, one after the other; default 1

	Warmup   time.Duration // unmeasured, before Duration and after all connections are open
	Duration time.Duration // measured

	Deflate     bool    // offer permessage-deflate, which the server must accept, and send messages compressed
	Takeover    bool    // offer it with context takeover, which the server must accept, and require compressed replies; implies Deflate; not of Broadcast or with Blocking
	VerifyEvery int     // of each Nth reply on a connection, and the first, every byte is compared; default 64
	Blocking    float64 // share of an Echo's connections, at least one if not 0, that send the message at which the server's handler sleeps for 1 s

	Timeout time.Duration // time without input after which a waiting connection fails; default 10 s
	Start   func()        // called when the warm-up is over, nil for none; the load rests meanwhile
	Stop    func()        // called when the last measured reply is in, nil for none; the load rests meanwhile

	reach      int  // largest distance in a compressed message, in bytes; default the length of a payload
	goroutines bool // the shell of other systems, for tests
}

// check sets the defaults of fields that are 0.
func (c *Config) check() error {
	for _, f := range []struct {
		name  string
		value *int
	}{{"Conns", &c.Conns}, {"InFlight", &c.InFlight}, {"Fragments", &c.Fragments}, {"PerConn", &c.PerConn}} {
		if *f.value < 0 {
			return fmt.Errorf("load: %s is %d", f.name, *f.value)
		}
		*f.value = max(*f.value, 1)
	}
	switch c.Opcode {
	case 0:
		c.Opcode = wire.Binary
	case wire.Text, wire.Binary:
	default:
		return fmt.Errorf("load: Opcode %v is not that of a data message", c.Opcode)
	}
	if len(c.Payloads) > 0 {
		c.Payload = c.Payloads[0]
		if slices.ContainsFunc(c.Payloads, func(p []byte) bool { return len(p) != len(c.Payload) }) {
			return errors.New("load: Payloads have different lengths")
		}
	}
	if c.Takeover && c.Blocking > 0 {
		return errors.New("load: Takeover and Blocking exclude one another")
	}
	c.Deflate = c.Deflate || c.Takeover
	if c.reach <= 0 {
		c.reach = max(len(c.Payload), 1)
	}
	if c.Topics < 0 || c.Topics > c.Conns {
		return fmt.Errorf("load: %d Topics of %d Conns", c.Topics, c.Conns)
	}
	if c.VerifyEvery <= 0 {
		c.VerifyEvery = defaultVerifyEvery
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	return nil
}

// Result has the figures of a run during its Duration.
type Result struct {
	Messages int64         // Echo: replies; Broadcast: deliveries; Churn: whole cycles
	Bytes    int64         // payload bytes of these replies, before any compression
	Elapsed  time.Duration // from after Start to before Stop

	// Latency is the time from handing a message to its connection until its
	// reply was read, for messages sent after Start; Broadcast: until each
	// delivery was read; Churn: from connect until the end of TCP. The loop is
	// closed: a server that stalls is sent less, so the worst quantiles are
	// kinder than an open loop's.
	Latency *Histogram

	Blocked  int64 // replies to messages at which the handler slept, in no other figure
	Verified int64 // replies of the whole run that were compared byte by byte
	Abrupt   int64 // connections of the whole run that the server ended without answering Close (RFC 6455, Section 5.5.1)

	// ClientCPU is the processor time of the generator during Elapsed,
	// ClientUser and ClientSystem its parts: with epoll that of its one thread,
	// else that of this process; 0 if it is unknown.
	ClientCPU, ClientUser, ClientSystem time.Duration
}

var errTakeover = errors.New("load: Broadcast has neither Payloads nor Takeover")

var errStamp = errors.New("load: Broadcast needs a Payload with a byte that can be changed: not empty, and a text with an ASCII byte")
