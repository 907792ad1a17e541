package diagnose

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// expirySoon is the time before the end of a certificate from which on it is
// reported.
const expirySoon = 14 * 24 * time.Hour

// remark adds the notes about the transport of an open connection.
func (o *observer) remark(r *Report) {
	if len(o.failed) > 0 {
		r.note(Finding{Kind: "address", Text: fmt.Sprintf("The host has an address that does not connect (%s).", strings.Join(o.failed, "; ")),
			Advice: []string{"Clients that try only one address fail: let the server listen on it, or remove it from DNS."}})
	}
	if o.state == nil || len(o.state.PeerCertificates) == 0 {
		return
	}
	leaf := o.state.PeerCertificates[0]
	if left := time.Until(leaf.NotAfter); left > 0 && left < expirySoon {
		r.note(Finding{Kind: "certificate-expires", Text: fmt.Sprintf("The certificate expires at %s, in %d days.", leaf.NotAfter.Format(time.RFC3339), int(left.Hours()/24)),
			Advice: []string{"Renew the certificate."}})
	}
	if !r.TLS.Verified {
		if err := o.verify(); err != nil {
			f, _ := o.certificateFinding(err)
			r.note(Finding{Kind: f.Kind, Text: "The certificate is accepted only because it is not verified.", Error: text(err), Advice: f.Advice})
		}
	}
}

// verify verifies the certificate of a connection that did without.
func (o *observer) verify() error {
	chain, cfg := o.state.PeerCertificates, o.tlsConfig()
	name := cfg.ServerName
	if name == "" {
		name, _, _ = strings.Cut(o.url.Host, "%")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: cfg.RootCAs, Intermediates: between}); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}
