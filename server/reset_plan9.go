package server

import "errors"

// errConnReset is no error of the system, which has none for a reset.
var errConnReset = errors.New("websocket: connection reset")
