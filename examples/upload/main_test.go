package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

func TestFileArrivesWithReportsOfTheProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, t.TempDir())
		file := bytes.Repeat([]byte("0123456789abcdef"), 3*reportSize/16)
		go c.SendBinary(file)
		var got report
		reports := 0
		for last := int64(0); got.SHA256 == ""; last = got.Received {
			check.Must(t, c.ReceiveJSON(t.Context(), &got))
			reports++
			if got.Received <= last {
				t.Fatalf("%d bytes after %d", got.Received, last)
			}
		}
		if reports < 3 || got.Received != int64(len(file)) {
			t.Errorf("%d reports, the last one of %d bytes", reports, got.Received)
		}
		checkFile(t, got, file)

		check.Must(t, c.SendBinary(nil)) // an empty file on the same connection
		got = report{}
		check.Must(t, c.ReceiveJSON(t.Context(), &got))
		checkFile(t, got, nil)
	})
}

func TestUnfinishedFileIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := dial(t, dir)
		w, err := c.NextWriter(wire.Binary)
		check.Must(t, err)
		check.Must(t, check.Err(w.Write([]byte("half"))))
		check.Must(t, w.Flush())
		synctest.Wait()
		check.Equal(t, len(files(t, dir)), 1, "files during the upload")
		check.Must(t, c.CloseNow())
		synctest.Wait()
		check.Equal(t, len(files(t, dir)), 0, "files after it")
	})
}

func TestTextIsNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := dial(t, dir)
		check.Must(t, c.SendText("a text"))
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != wire.UnsupportedData {
			t.Error(err)
		}
		check.Equal(t, len(files(t, dir)), 0, "files")
	})
}

// dial connects to a server in memory.
func dial(t *testing.T, dir string) *client.Conn {
	t.Helper()
	ln := wstest.Serve(t, newServer(dir))
	c, err := client.Dial(t.Context(), "ws://files.example/upload", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	check.Must(t, err)
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func checkFile(t *testing.T, r report, want []byte) {
	t.Helper()
	got, err := os.ReadFile(r.File)
	check.Must(t, err)
	if sum := sha256.Sum256(want); !bytes.Equal(got, want) || r.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the file has %d bytes and the sum %s", len(got), r.SHA256)
	}
}

func files(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	check.Must(t, err)
	return list
}
