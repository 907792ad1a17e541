// Package deflate compresses and decompresses the messages of
// permessage-deflate (RFC 7692).
package deflate
