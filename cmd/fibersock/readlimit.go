package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"os"
)

// This file reads input into memory up to a limit: a file such as /dev/zero and
// a pipe may have no end.

// inputLimit is the largest input that is read into memory.
type inputLimit struct {
	size   sizeFlag // negative: none
	option string   // the flag or rule that sets it
}

const (
	defaultMaxInput = 128 << 20 // of -max-send and -max-input
	maxPEM          = 16 << 20
)

var pemLimit = inputLimit{maxPEM, "the limit of PEM files"}

// inputLimitError reports input that exceeds a limit.
type inputLimitError struct {
	source string // of the input
	limit  inputLimit
}

func (e *inputLimitError) Error() string {
	return e.source + " exceeds " + e.limit.option + " (" + e.limit.size.String() + ")"
}

// exceeded reports whether n bytes exceed the limit.
func (l inputLimit) exceeded(n int) bool { return l.size >= 0 && int64(n) > int64(l.size) }

// readAll reads to the end of in. source is the name of in for errors.
func (l inputLimit) readAll(in io.Reader, source string) ([]byte, error) {
	if l.size >= 0 {
		in = io.LimitReader(in, int64(l.size)+1)
	}
	b, err := io.ReadAll(in)
	if l.exceeded(len(b)) {
		return nil, &inputLimitError{source, l}
	}
	return b, err
}

// readFile reads a file.
func (l inputLimit) readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return l.readAll(file, name)
}

// readLine reads a line, and removes its end.
func (l inputLimit) readLine(r *bufio.Reader) (line []byte, ok bool, err error) {
	line, ok, err = l.readUntil(r, []byte("\n"), "the line")
	return bytes.TrimSuffix(line, []byte("\r")), ok, err
}

// readUntil reads up to a delimiter or to the end of input, and returns the
// text without the delimiter. ok is false at the end of input. The error is an
// *inputLimitError if the text exceeds the limit; name is that of the text.
func (l inputLimit) readUntil(r *bufio.Reader, delimiter []byte, name string) (text []byte, ok bool, err error) {
	for {
		part, err := r.ReadSlice(delimiter[len(delimiter)-1])
		text = append(text, part...)
		before, found := bytes.CutSuffix(text, delimiter)
		switch {
		case l.exceeded(len(before)):
			return nil, false, &inputLimitError{name, l}
		case found:
			return before, true, nil
		case err != nil && err != bufio.ErrBufferFull:
			return text, len(text) > 0, err
		}
	}
}

// readKeyPair reads a certificate with its chain, and its key.
func readKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := pemLimit.readFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := pemLimit.readFile(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
