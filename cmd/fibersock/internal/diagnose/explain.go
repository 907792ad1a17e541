package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/clienttls"
	"github.com/fibersock/fibersock/handshake"
)

// explain records the problem of a Dial that returned err. It may make another
// connection.
func (o *observer) explain(ctx context.Context, r *Report, err error) {
	last := ""
	if len(r.Steps) > 0 {
		last = r.Steps[len(r.Steps)-1].Name
	}
	var refused *client.HandshakeError
	var proxy *client.ProxyError
	var secure *client.TLSError
	var redirect *client.RedirectError
	switch {
	case errors.Is(err, context.Canceled):
		r.fail(last, err, Finding{Kind: "canceled", Text: "The check was interrupted."})
	case isA[*handshake.FieldError](err):
		r.Steps = nil
		r.fail("", err, Finding{Kind: "usage", Text: "A header field or subprotocol cannot be sent."})
	case errors.Is(err, context.DeadlineExceeded):
		r.fail(last, err, o.timeoutFinding(last))
	case errors.As(err, &proxy):
		r.fail(last, err, o.proxyFinding(proxy))
	case !r.Connected:
		r.fail(last, err, o.networkFinding(err))
	case errors.As(err, &redirect):
		r.fail(last, err, Finding{Kind: "redirect", Text: "The server redirects, and the redirect is not followed.",
			Advice: []string{"Use the final URL with ws or wss.", "Correct the Location field of the server if it leads to a redirect loop."}})
	case errors.As(err, &refused):
		if refused.Response == nil {
			r.fail(last, err, o.noHTTP(ctx, err))
			return
		}
		r.HTTP.Body = string(refused.Body)
		r.fail(last, err, o.responseFinding(refused))
	case errors.As(err, &secure):
		var unverified *tls.CertificateVerificationError
		if errors.As(err, &unverified) {
			r.TLS = new(TLS)
			r.TLS.describe(unverified.UnverifiedCertificates)
		}
		r.fail(last, err, o.tlsFinding(ctx, secure))
	case o.url.Secure && !clienttls.Supported:
		r.fail(last, err, Finding{Kind: "tls", Text: "This program is built without TLS.", Advice: []string{"Build it without the tag notls."}})
	default: // the connection ended without a response
		r.fail(last, err, o.noHTTP(ctx, err))
	}
}

// host returns the host and port that Dial connects to.
func (o *observer) host() (host, port string) {
	address := o.url.Address()
	if proxy := o.proxy(); proxy != nil {
		address = proxy.Address()
	}
	host, port, _ = net.SplitHostPort(address)
	return host, port
}

// timeoutFinding explains that HandshakeTimeout expired in a step.
func (o *observer) timeoutFinding(step string) Finding {
	host, port := o.host()
	f := Finding{Kind: "timeout"}
	switch step {
	case DNS:
		f.Kind, f.Text = "dns-timeout", fmt.Sprintf("The name server did not answer the lookup of %s in time.", host)
		f.Advice = []string{"Check the network and the name servers of this machine, such as /etc/resolv.conf or the VPN."}
	case TCP:
		f.Kind, f.Text = "tcp-timeout", fmt.Sprintf("%s did not answer on port %s in time.", host, port)
		f.Advice = []string{"A firewall or security group drops the packets, or the machine is down: open the port, or check the address."}
	case Proxy:
		f.Kind, f.Text = "proxy-timeout", "The proxy did not open a tunnel in time."
		f.Advice = []string{"Check that the proxy speaks HTTP CONNECT, and that it reaches the server."}
	case Security:
		f.Kind, f.Text = "tls-timeout", "The server accepted the connection and did not answer the TLS handshake in time."
		f.Advice = []string{"The port may expect no TLS: try ws:// in place of wss://.", "The server may be overloaded."}
	default:
		f.Kind, f.Text = "handshake-timeout", "The server accepted the connection and did not answer the opening handshake in time."
		f.Advice = []string{"The port may belong to another protocol.", "A proxy may wait for its backend: look at the backend."}
		if !o.url.Secure {
			f.Advice = append([]string{"The port may expect TLS: try wss:// in place of ws://."}, f.Advice...)
		}
	}
	return f
}

// networkFinding explains a lookup or connect that failed.
func (o *observer) networkFinding(err error) Finding {
	host, port := o.host()
	var dns *net.DNSError
	if errors.As(err, &dns) {
		f := Finding{Kind: "dns", Text: fmt.Sprintf("The name %s cannot be resolved.", host)}
		switch {
		case dns.IsNotFound:
			f.Text = fmt.Sprintf("There is no host with the name %s.", host)
			f.Advice = []string{"Check the spelling of the host.",
				"A private name needs the VPN, the company's name server or an entry in /etc/hosts."}
		case dns.IsTimeout:
			f.Kind = "dns-timeout"
			f.Advice = []string{"The name server does not answer: check the network and /etc/resolv.conf."}
		default:
			f.Advice = []string{"Check the network and the name servers of this machine."}
		}
		return f
	}
	reason := err.Error()
	switch {
	case strings.Contains(reason, "refused"):
		f := Finding{Kind: "closed-port", Text: fmt.Sprintf("Nothing listens on port %s of %s.", port, host),
			Advice: []string{"Start the server, or check the port."}}
		if ip := net.ParseIP(host); host != "localhost" && !(ip != nil && ip.IsLoopback()) {
			f.Advice = append(f.Advice, "A server that listens on 127.0.0.1 is not reachable from elsewhere: let it listen on 0.0.0.0 or the machine's address.")
		}
		return f
	case strings.Contains(reason, "no such file"):
		return Finding{Kind: "no-socket", Text: "There is no unix socket with this path.", Advice: []string{"Start the server, or check the path."}}
	case strings.Contains(reason, "permission denied"):
		return Finding{Kind: "permission", Text: "This user may not connect.", Advice: []string{"Check the permissions of the unix socket, or the firewall of this machine."}}
	case strings.Contains(reason, "unreachable"), strings.Contains(reason, "no route"):
		return Finding{Kind: "unreachable", Text: fmt.Sprintf("There is no route to %s.", host),
			Advice: []string{"Check the network and the VPN. An IPv6 address needs a network with IPv6."}}
	case strings.Contains(reason, "timed out"), strings.Contains(reason, "timeout"):
		return o.timeoutFinding(TCP)
	}
	return Finding{Kind: "connect", Text: fmt.Sprintf("The connection to port %s of %s failed.", port, host)}
}

// proxyFinding explains the failure of a tunnel.
func (o *observer) proxyFinding(err *client.ProxyError) Finding {
	status := 0
	if err.Response != nil {
		status = err.Response.Status
	}
	switch {
	case status == 407:
		return Finding{Kind: "proxy-credentials", Text: "The proxy wants credentials.",
			Advice: []string{"Write them into the URL of the proxy: http://USER:PASSWORD@HOST:PORT."}}
	case status == 403, status == 405:
		return Finding{Kind: "proxy-refused", Text: fmt.Sprintf("The proxy refuses a tunnel to %s with status %d.", o.url.Address(), status),
			Advice: []string{"Proxies often allow CONNECT to port 443 only: use wss on 443, or allow the port in the proxy."}}
	case status >= 500:
		return Finding{Kind: "proxy-unreachable", Text: fmt.Sprintf("The proxy cannot reach %s: status %d.", o.url.Address(), status),
			Advice: []string{"Check the name and port of the server as the proxy sees them."}}
	case status != 0:
		return Finding{Kind: "proxy-refused", Text: fmt.Sprintf("The proxy answered CONNECT with status %d.", status),
			Advice: []string{"Check that the address is that of a proxy for CONNECT."}}
	}
	var socks *client.SOCKSError
	if errors.As(err, &socks) {
		return Finding{Kind: "proxy-refused", Text: "The SOCKS5 proxy refuses a tunnel.",
			Advice: []string{"Write a user and password into the URL of the proxy if it wants them: socks5://USER:PASSWORD@HOST:PORT.",
				"Check the name and port of the server as the proxy sees them."}}
	}
	if o.connected.IsZero() {
		f := o.networkFinding(err)
		f.Kind, f.Text = "proxy-"+f.Kind, "The proxy: "+f.Text
		return f
	}
	return Finding{Kind: "proxy", Text: "The proxy did not open a tunnel.", Advice: []string{"Check that the address is that of an HTTP proxy, and its scheme: http, or https for TLS to the proxy."}}
}

// tlsFinding explains a failure of TLS.
func (o *observer) tlsFinding(ctx context.Context, err *client.TLSError) Finding {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		f := Finding{Kind: "no-tls", Text: "The port does not speak TLS.", Advice: []string{"Use ws:// in place of wss://, or the server's port for TLS."}}
		if string(record.RecordHeader[:]) == "HTTP/" {
			f.Kind, f.Text = "plain-port", "The port speaks plain HTTP, and wss needs TLS."
		}
		return f
	}
	if f, ok := o.certificateFinding(err); ok {
		return f
	}
	reason := err.Error()
	switch {
	case strings.Contains(reason, "no application protocol"):
		return o.http2Finding(ctx)
	case strings.Contains(reason, "certificate required"), strings.Contains(reason, "bad certificate"):
		return Finding{Kind: "client-certificate", Text: "The server wants a certificate of the client.",
			Advice: []string{"Give a certificate and key that the server accepts: -cert and -key."}}
	case strings.Contains(reason, "unrecognized name"):
		return Finding{Kind: "tls-name", Text: fmt.Sprintf("The server has no certificate for the name %s.", o.url.Host),
			Advice: []string{"Check the host, or configure the name in the server or proxy (server_name)."}}
	case strings.Contains(reason, "protocol version"):
		return Finding{Kind: "tls-version", Text: "The server supports only versions of TLS that are not safe (1.1 or older).",
			Advice: []string{"Enable TLS 1.2 or 1.3 in the server."}}
	case strings.Contains(reason, "handshake failure"):
		return Finding{Kind: "tls-parameters", Text: "The server found no common parameters of TLS.",
			Advice: []string{"Check the server's cipher suites and the type of its certificate.", "The server may need the host's name, or a certificate of the client."}}
	}
	return Finding{Kind: "tls", Text: "The TLS handshake failed.",
		Advice: []string{"The port may expect no TLS: try ws:// in place of wss://.", "A proxy or firewall may cut TLS connections."}}
}

// certificateFinding explains an invalid certificate.
func (o *observer) certificateFinding(err error) (Finding, bool) {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		f := Finding{Kind: "certificate-name", Text: fmt.Sprintf("The certificate is not for %s.", name.Host)}
		if all := names(name.Certificate); len(all) > 0 {
			f.Advice = []string{"Use a name of the certificate: " + strings.Join(all, ", ") + "."}
		}
		f.Advice = append(f.Advice, "Behind a proxy this is often the default certificate: configure the name there (server_name, SNI).")
		return f, true
	case errors.As(err, &invalid):
		switch now := time.Now(); {
		case invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
			return Finding{Kind: "certificate-early", Text: fmt.Sprintf("The certificate is not valid before %s.", invalid.Cert.NotBefore.Format(time.RFC3339)),
				Advice: []string{"Check the clock of this machine."}}, true
		case invalid.Reason == x509.Expired:
			return Finding{Kind: "certificate-expired", Text: fmt.Sprintf("The certificate expired at %s.", invalid.Cert.NotAfter.Format(time.RFC3339)),
				Advice: []string{"Renew the certificate, and let the server load it: many servers need a restart or reload.", "Check the clock of this machine."}}, true
		}
		return Finding{Kind: "certificate-invalid", Text: "The certificate is not valid for a server."}, true
	case errors.As(err, &authority):
		f := Finding{Kind: "certificate-authority", Text: "The certificate was not issued by an authority that this machine trusts."}
		var chain []*x509.Certificate
		if errors.As(err, &unverified) {
			chain = unverified.UnverifiedCertificates
		}
		switch {
		case len(chain) > 0 && chain[0].CheckSignatureFrom(chain[0]) == nil || len(chain) == 1 && selfIssued(chain[0]):
			f.Kind, f.Text = "certificate-self-signed", "The certificate is self-signed."
			f.Advice = []string{"Trust this certificate by -cacert FILE, or, for a test only, any certificate by -k."}
		case len(chain) == 1:
			f.Kind, f.Text = "certificate-chain", "The server sends one certificate and not those of its authority, or the authority is not trusted here."
			f.Advice = []string{"Configure the whole chain in the server (fullchain.pem). Browsers often hide this mistake.",
				"For a private authority, trust its certificate by -cacert FILE."}
		default:
			f.Advice = []string{"For a private authority, or a proxy that inspects TLS, trust its certificate by -cacert FILE."}
		}
		return f, true
	case errors.As(err, &unverified):
		return Finding{Kind: "certificate-invalid", Text: "The certificate could not be verified."}, true
	}
	return Finding{}, false
}

// selfIssued reports whether a certificate names itself as its issuer.
func selfIssued(c *x509.Certificate) bool { return string(c.RawSubject) == string(c.RawIssuer) }
