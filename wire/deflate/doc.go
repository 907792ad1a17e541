// Package deflate compresses and decompresses the messages of the WebSocket
// extension permessage-deflate: RFC 7692, with the DEFLATE format of RFC 1951.
//
// A [Compressor] is the sending half of a connection, a [Decompressor] the
// receiving half. Both work on byte slices and perform no I/O; negotiation and
// frames are left to the caller.
//
// # Memory
//
// With context takeover each half keeps its window: the latest text, at most
// 1<<WindowBits bytes, in memory that grows as text arrives. Without, it keeps
// nothing between messages. Hash tables, decode tables and other working memory
// belong to pools, one set for each processor that is at work: about 250 KiB to
// compress, 14 KiB to decompress. The index of the window is rebuilt for each
// message. To keep it would triple the memory of a connection, and would cost
// more time as soon as many connections alternate, because their indexes do not
// fit in the cache.
//
// In steady state nothing is allocated: only a window that grows, and a result
// that exceeds the capacity of dst.
//
// # Windows
//
// A Compressor never refers to text farther back than its window, and a
// Decompressor refuses a message that does. [AppendShared] compresses a message
// once for many connections, whatever they negotiated.
//
// # Secrets
//
// The length of a compressed message depends on its text and, with takeover, on
// earlier messages. An attacker who can choose a part of the text and observe
// lengths can learn the rest (CRIME). Do not compress a secret beside text that
// an attacker chooses.
package deflate
