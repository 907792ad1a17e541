package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// exitCode is the exit code of the process. exitCodes explains the values.
type exitCode int

const (
	exitOK          exitCode = 0
	exitUsage       exitCode = 1
	exitUnreachable exitCode = 2
	exitTLS         exitCode = 3
	exitRefused     exitCode = 4
	exitFailed      exitCode = 5
	exitLost        exitCode = 6
	exitTimeout     exitCode = 7
	exitPeerClosed  exitCode = 8
	exitDiffers     exitCode = 9
	exitInterrupted exitCode = 130
)

// exitCodes is the part of "fibersock help connect" for authors of scripts.
const exitCodes = `
Exit codes:
  0    finished: a closing handshake of either side with 1000, 1001 or
       without a code
  1    wrong use, or standard input, standard output or a file cannot be used
  2    cannot connect: name, network, or a proxy that refuses
  3    TLS failed: certificate, protocol version, not a TLS server
  4    the server did not accept the opening handshake, a subprotocol of
       -subprotocol, or the compression of -compress
  5    the server broke the protocol or a limit; the connection was failed
  6    the connection was lost without a closing handshake (1006)
  7    timeout: opening handshake, -expect, -until, -ping, a write, or the
       server's Close
  8    the server closed with another code, or before -expect or -until was met
  9    replay -compare: the received messages are not those of the recording
  130  interrupted; if the connection was open, it was closed with 1001
`

// dialExitCode returns the exit code for the error of a dial. connected and
// secured are its progress: whether there was a transport, and whether TLS on
// it was established.
func dialExitCode(err error, connected, secured bool) exitCode {
	switch {
	case isAny[*handshake.URLError](err), isAny[*handshake.FieldError](err):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case isAny[*client.HandshakeError](err):
		return exitRefused
	case isTLSError(err):
		return exitTLS
	case isAny[*client.ProxyError](err), !connected:
		return exitUnreachable
	case !secured:
		return exitTLS
	}
	return exitRefused // it hung up instead of answering
}

// endExitCode returns the exit code for the end of an open connection. err is
// its cause, ours the code of the Close that this side sent, 0 if it sent none
// or one without a code.
func endExitCode(err error, ours wire.StatusCode) exitCode {
	var closed *client.CloseError
	switch {
	case errors.As(err, &closed):
		switch closed.Code {
		case wire.NormalClosure, wire.GoingAway, wire.NoStatusReceived, ours:
			return exitOK
		}
		return exitPeerClosed
	case isAny[*client.FailError](err):
		return exitFailed
	case isAny[*client.TimeoutError](err):
		return exitTimeout
	case isTLSError(err): // an alert, such as that a certificate of the client is missing
		return exitTLS
	case isAny[*client.LostError](err):
		return exitLost
	}
	return exitTimeout // this side cut the connection: the server did not answer its Close
}

// isAny reports whether err, or an error that it wraps, is of the type E.
func isAny[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func isTLSError(err error) bool {
	return isAny[*client.TLSError](err) || isAny[tls.RecordHeaderError](err) || isAny[tls.AlertError](err) ||
		isAny[*tls.CertificateVerificationError](err) || isAny[x509.UnknownAuthorityError](err) ||
		isAny[x509.HostnameError](err) || isAny[x509.CertificateInvalidError](err)
}
