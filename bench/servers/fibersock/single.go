//go:build !batched

package main

// batchedSends is the server's BatchedSends in this build.
const batchedSends = false
