package main

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// handshake shows the opening handshake on standard error, like curl: the
// request after ">", the response after "<", without secrets.
func (o *output) handshake(request []byte, response *handshake.Response) {
	for line := range strings.SplitSeq(strings.TrimRight(string(request), "\r\n"), "\r\n") {
		o.note("> %s", escape(redact(line)))
	}
	if response == nil {
		return
	}
	o.note("< %s", escape(strings.TrimSpace(fmt.Sprintf("%s %d %s", response.Proto, response.Status, response.Reason))))
	for _, f := range response.Header {
		o.note("< %s", escape(redact(f.Name+": "+f.Value)))
	}
}

// redact removes the secret of a header line, such as credentials without their
// scheme.
func redact(line string) string {
	const hidden = "[not shown]"
	name, value, found := strings.Cut(line, ":")
	if !found {
		return line
	}
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization":
		if scheme, _, found := strings.Cut(strings.TrimSpace(value), " "); found {
			return name + ": " + scheme + " " + hidden
		}
		return name + ": " + hidden
	case "cookie", "set-cookie":
		return name + ": " + hidden
	}
	return line
}

// describeTLS is one line about a TLS connection.
func describeTLS(state tls.ConnectionState) string {
	subject := "no certificate"
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		subject = fmt.Sprintf("certificate of %q by %q, valid until %s", leaf.Subject, leaf.Issuer, leaf.NotAfter.Format("2006-01-02"))
	}
	return fmt.Sprintf("%s, %s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), subject)
}
