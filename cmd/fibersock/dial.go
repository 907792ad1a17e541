package main

import (
	"strings"

	"github.com/fibersock/fibersock/client"
)

// proxyUsage is the help of -proxy.
const proxyUsage = "connect to the server through the proxy with this `URL`: http://user:password@host:port,\nhttps, or socks5; none: connect directly (default: that of the environment variables\nHTTPS_PROXY for wss, HTTP_PROXY for ws, or ALL_PROXY, but for the hosts of NO_PROXY and\nlocalhost)"

// proxyAt returns the proxy of -proxy, nil for none.
func proxyAt(url string) client.Proxy {
	switch url {
	case "":
		return client.ProxyFromEnvironment()
	case "none":
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
