package netloop

import "errors"

// ErrConnReset is no error of the system, which has none for a reset.
var ErrConnReset = errors.New("websocket: connection reset")
