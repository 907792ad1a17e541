package main

import (
	"crypto/tls"
	"flag"
)

// trustOptions are the flags that say whom to trust when connecting to a wss URL.
type trustOptions struct {
	insecure bool
	caFile   string
}

func (o *trustOptions) add(flags *flag.FlagSet) {
	flags.BoolVar(&o.insecure, "insecure", false, "for wss: accept any certificate")
	flags.StringVar(&o.caFile, "cacert", "", "for wss: trust the certificates in this PEM `file`, and not the system's")
}

func (o *trustOptions) check() error {
	if o.insecure && o.caFile != "" {
		return usagef("-cacert says whom to trust and -insecure to trust anybody: take one of them")
	}
	return nil
}

// config returns the client's side of TLS.
func (o *trustOptions) config() (*tls.Config, error) {
	roots, err := loadCertificates(o.caFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, InsecureSkipVerify: o.insecure, NextProtos: []string{"http/1.1"}}, nil
}
