package main

import (
	"net"
	"strings"
)

// completeURL returns url with a scheme and a host, if it has none, as in
// example.com, localhost:8080/echo, :8080 or 8080. The scheme is wss, but ws
// for localhost, for an IP address, and with a port other than 443.
func completeURL(url string) string {
	if strings.Contains(url, "://") || url == "" {
		return url
	}
	if isDigits(url) {
		url = ":" + url
	}
	if url[0] == ':' {
		url = "localhost" + url
	}
	authority := url
	if i := strings.IndexAny(url, "/?#"); i >= 0 {
		authority = url[:i]
	}
	host, port, err := net.SplitHostPort(authority[strings.LastIndexByte(authority, '@')+1:])
	if err != nil {
		host = strings.Trim(authority, "[]")
	}
	switch {
	case port == "443":
		return "wss://" + url
	case port != "", strings.EqualFold(host, "localhost"), net.ParseIP(host) != nil:
		return "ws://" + url
	}
	return "wss://" + url
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// looksLikeURL reports whether the first argument of fibersock, which is no
// command, is a URL to connect to, or a flag in front of one.
func looksLikeURL(argument string) bool {
	return strings.ContainsAny(argument, "-.:/") || argument == "localhost" || isDigits(argument)
}
