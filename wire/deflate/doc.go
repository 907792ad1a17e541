// Package deflate compresses and decompresses the messages of the WebSocket
// extension permessage-deflate: RFC 7692, with the DEFLATE format of RFC 1951.
package deflate
