// Upload receives files from a page, of any size, in bounded memory, and reports
// the progress.
//
//	go run ./examples/upload
package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"flag"
	"hash"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "address")
	dir := flag.String("dir", os.TempDir(), "directory of the files")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%v/", ln.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.Handle("GET /upload", httpupgrade.Handler(newServer(*dir)))
	log.Fatal(http.Serve(ln, mux))
}

// reportSize is the number of bytes between two reports of the progress.
const reportSize = 1 << 20

// A report is a message to the client.
type report struct {
	Received int64  `json:"received"`
	File     string `json:"file,omitempty"` // with the last report: its name on the server
	SHA256   string `json:"sha256,omitempty"`
}

// An upload is a file that a client is sending. Its handlers never overlap.
type upload struct {
	file     *os.File // nil between two files
	hash     hash.Hash
	received int64
	reported int64
}

// newServer returns a server that writes each binary message to a file in dir.
func newServer(dir string) *server.Server {
	receive := func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
		if c.State() != server.Open {
			return // the rest of a message after an error
		}
		if op != wire.Binary {
			c.Close(wire.UnsupportedData, "a file is a binary message")
			return
		}
		if err := c.Value().(*upload).write(c, dir, p, final); err != nil {
			log.Print(err)
			c.Close(wire.InternalError, "the file cannot be written")
		}
	}
	return &server.Server{
		Limits: server.Limits{Message: 10 << 30},
		Handler: server.Handler{
			Open:    func(c *server.Conn) { c.SetValue(new(upload)) },
			Partial: receive, // Message is nil: Partial gets all messages
			Close: func(c *server.Conn, code wire.StatusCode, reason string) {
				if err := c.Value().(*upload).discard(); err != nil {
					log.Print(err)
				}
			},
		},
	}
}

// write adds a piece of the file. The server reads nothing more from this client
// until write returns: the disk slows the client down.
func (u *upload) write(c *server.Conn, dir string, p []byte, final bool) error {
	if u.file == nil {
		file, err := os.CreateTemp(dir, "upload-*")
		if err != nil {
			return err
		}
		*u = upload{file: file, hash: sha256.New()}
	}
	if _, err := io.MultiWriter(u.file, u.hash).Write(p); err != nil {
		return err
	}
	u.received += int64(len(p))
	if !final {
		if u.received-u.reported < reportSize {
			return nil
		}
		u.reported = u.received
		return c.SendJSON(report{Received: u.received})
	}
	file := u.file
	u.file = nil
	if err := file.Close(); err != nil {
		return err
	}
	return c.SendJSON(report{u.received, file.Name(), hex.EncodeToString(u.hash.Sum(nil))})
}

// discard removes the file of a connection that ended within a message.
func (u *upload) discard() error {
	if u.file == nil {
		return nil
	}
	u.file.Close()
	return os.Remove(u.file.Name())
}
