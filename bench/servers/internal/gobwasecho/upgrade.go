package gobwasecho

import (
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// Upgrade makes the opening handshake on a connection as it was accepted: the
// README, "Zero-copy upgrade". It reports whether permessage-deflate was agreed on.
func Upgrade(conn net.Conn, deflate bool) (compress bool, err error) {
	if !deflate {
		_, err := ws.Upgrade(conn)
		return false, err
	}
	extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	upgrader := ws.Upgrader{Negotiate: extension.Negotiate}
	if _, err := upgrader.Upgrade(conn); err != nil {
		return false, err
	}
	_, compress = extension.Accepted()
	return compress, nil
}
