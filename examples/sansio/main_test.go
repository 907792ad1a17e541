package main

import (
	"bytes"
	"net"
	"testing"
)

func TestConversationOfTheDocumentation(t *testing.T) {
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- serve(far) }()
	var out bytes.Buffer
	if err := talk(near, &out); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got, want := out.String(), "text: Hello, 世界\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
