package main

import (
	"strings"

	"github.com/fibersock/fibersock/client"
)

// proxyAt returns the proxy with a URL, nil if that is empty.
func proxyAt(url string) client.Proxy {
	if url == "" {
		return nil
	}
	return client.ProxyURL(url)
}

// takeHost removes the field Host from header, and returns its value for
// Config.Host.
func takeHost(header map[string][]string) string {
	for name, values := range header {
		if strings.EqualFold(name, "Host") && len(values) == 1 {
			delete(header, name)
			return values[0]
		}
	}
	return ""
}
