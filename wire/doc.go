// Package wire encodes and decodes WebSocket frames: RFC 6455, Sections 5
// (frames, masking, Close payloads), 7.4 (status codes) and 8.1 (UTF-8).
//
// Functions parse a byte slice and return the number of bytes used, or append
// to a byte slice and return the extended slice. They perform no I/O, and they
// allocate only to grow the slice that they append to. [UTF8] is the only type
// that keeps state between calls: it validates a text that arrives in pieces.
//
// The package serves both roles. Rules that depend on the role (masking), on
// the state of the connection (expected opcodes, negotiated extensions) or on a
// limit are left to the caller; package endpoint enforces them.
//
// Functions may be called from any goroutine. Calls that share a byte slice or
// a UTF8 must not overlap.
//
// # The frame
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|F|R|R|R| opcode|M| length      | extended length               |
//	|I|S|S|S|  (4)  |A|  (7)        |   16 bits if length is 126    |
//	|N|V|V|V|       |S|             |   64 bits if length is 127    |
//	| |1|2|3|       |K|             |                               |
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	| masking key, 4 bytes if MASK is set                           |
//	+---------------------------------------------------------------+
//	| payload                                                       |
//	+---------------------------------------------------------------+
//
// [ParseHeader] and [AppendHeader] convert the header, which is everything
// above the payload. [DecodeFrame] and [AppendFrame] convert whole frames.
// [Mask] converts a payload.
//
// # Errors
//
// A frame that breaks a rule is reported as an [*Error], which holds the status
// code for the Close frame to the peer. Each rule has one variable, such as
// [ErrReservedOpcode]; compare with errors.Is.
package wire
