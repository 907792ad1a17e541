package main

import (
	"crypto/tls"
	"flag"
)

// trustOptions are the flags about the certificate of a wss server.
type trustOptions struct {
	insecure bool
	caFile   string
}

func (o *trustOptions) add(flags *flag.FlagSet) {
	flags.BoolVar(&o.insecure, "insecure", false, "DANGEROUS, for wss: accept any certificate, so that anybody on the network can read\nand change everything")
	flags.StringVar(&o.caFile, "cacert", "", "for wss: trust the certificates in this PEM `file`, and not the system's")
}

func (o *trustOptions) check() error {
	if o.insecure && o.caFile != "" {
		return usagef("-cacert and -insecure cannot be used together")
	}
	return nil
}

// config returns the client's configuration of TLS.
func (o *trustOptions) config() (*tls.Config, error) {
	roots, err := loadCertificates(o.caFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, InsecureSkipVerify: o.insecure, NextProtos: []string{"http/1.1"}}, nil
}
