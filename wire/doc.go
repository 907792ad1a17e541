// Package wire is the frame codec of the WebSocket protocol: RFC 6455,
// Sections 5 (frames, masking, close payloads), 7.4 (status codes) and 8.1
// (UTF-8), over byte slices.
//
// Nothing here does I/O, allocates, keeps state between calls or knows which
// role it serves: functions parse from a slice and say how much of it they
// used, or append to a slice that they are given. A rule that depends on the
// role (who masks), on the connection (which opcode may come next, which
// extension was agreed) or on a limit is the business of whoever calls.
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
// [ParseHeader] and [AppendHeader] deal with everything above the payload,
// [DecodeFrame] and [AppendFrame] with the whole, [Mask] with the payload
// alone.
//
// # Errors
//
// What a peer did wrong is an [*Error]: it carries the status code that the
// Close frame to that peer should have. There is one variable per rule
// (ErrReservedOpcode, ErrInvalidUTF8, …), to be compared with errors.Is.
package wire
