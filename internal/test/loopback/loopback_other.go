//go:build !linux

package loopback

func address() string { return "127.0.0.1:0" }
