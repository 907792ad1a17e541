//go:build !portable

package main

// loop names the loop that package server runs connections on in this build.
const loop = "epoll"
