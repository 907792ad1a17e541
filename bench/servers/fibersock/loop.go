//go:build !linux || portable

package main

// loop names the loop that package server runs connections on in this build.
const loop = "goroutines"
