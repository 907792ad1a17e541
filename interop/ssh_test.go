package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/fibersock/fibersock/internal/test/check"
)

// The ssh of OpenSSH runs a command through two bridges: as its ProxyCommand,
// and before an SSH server. More bytes than the buffers of the way hold return
// as they were sent, standard error is separate, and the exit code arrives.
func TestSSHThroughBridges(t *testing.T) {
	serving := startServe(t) // builds the command
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	check.Must(t, err)
	key, err := ssh.MarshalPrivateKey(private, "")
	check.Must(t, err)
	identity := writeFile(t, dir, "identity", string(pem.EncodeToMemory(key)))
	address := startSSH(t, public)
	gate := start(t, exec.Command(serving.binary, "bridge", "ws-listen:127.0.0.1:0", "tcp:"+address))
	url := "ws://" + gate.errors.await(t, "ws://")

	input := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16*8)
	cmd := exec.CommandContext(patient(t), find(t, "openssh-client", "ssh"),
		"-F", "none", "-i", identity, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+filepath.Join(dir, "hosts"), "-o", "LogLevel=ERROR",
		"-o", fmt.Sprintf("ProxyCommand='%s' bridge - %s", serving.binary, url),
		"user@gate", "cat")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v\n%s", err, &errs)
	}
	if !bytes.Equal(out.Bytes(), input) {
		t.Errorf("%d bytes returned, want %d as they were sent", out.Len(), len(input))
	}
	if errs.String() != "the end\n" {
		t.Errorf("standard error: %q", &errs)
	}
}

// startSSH serves SSH to the owner of a key until the test ends, and returns
// the address. Any command is cat, with a line of standard error and exit code
// 7.
func startSSH(t *testing.T, key ed25519.PublicKey) (address string) {
	t.Helper()
	_, host, err := ed25519.GenerateKey(rand.Reader)
	check.Must(t, err)
	signer, err := ssh.NewSignerFromKey(host)
	check.Must(t, err)
	allowed, err := ssh.NewPublicKey(key)
	check.Must(t, err)
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), allowed.Marshal()) {
			return nil, fmt.Errorf("another key")
		}
		return nil, nil
	}}
	cfg.AddHostKey(signer)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		serveSSH(nc, cfg)
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	return ln.Addr().String()
}

// serveSSH serves the sessions of one connection. The client reports failures.
func serveSSH(nc net.Conn, cfg *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(nc, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		session, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			r.Reply(r.Type == "exec", nil)
			if r.Type != "exec" {
				continue
			}
			go ssh.DiscardRequests(requests)
			io.Copy(session, session)
			io.WriteString(session.Stderr(), "the end\n")
			session.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{7}))
			session.Close()
			break
		}
	}
}
