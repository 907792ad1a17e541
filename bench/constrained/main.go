// Command constrained compares clients for small machines: the size of a program
// that exchanges one message, and the memory of an idle connection. It writes
// docs/performance/constrained.md.
//
//	go run ./constrained -out ../docs/performance/constrained.md
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

func main() {
	out := flag.String("out", "", "file of the page")
	conns := flag.Int("conns", 2000, "connections whose memory is measured")
	holding := flag.String("hold", "", "connect with the named library, as a child")
	url := flag.String("url", "", "server of -hold")
	flag.Parse()
	if *holding != "" {
		n, err := measure(libraries[*holding].hold, *url, *conns)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n)
		return
	}
	page, err := compare(*conns)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.WriteString(page)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(page), 0o666); err != nil {
			log.Fatal(err)
		}
	}
}

// A library has a program, the folder of its name, and a function that opens a
// connection, exchanges a message, and waits for another one on a goroutine.
type library struct {
	module string
	hold   func(url string) error
}

var names = []string{"fibersock", "gorilla", "coder", "gobwas", "gws"}

var libraries = map[string]library{
	"fibersock": {"github.com/fibersock/fibersock", holdFibersock},
	"gorilla":   {"github.com/gorilla/websocket", holdGorilla},
	"coder":     {"github.com/coder/websocket", holdCoder},
	"gobwas":    {"github.com/gobwas/ws", holdGobwas},
	"gws":       {"github.com/lxzan/gws", holdGws},
}

var hello = []byte("hello")

func holdFibersock(url string) error {
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	if err := c.Send(wire.Text, hello); err != nil {
		return err
	}
	if _, err := c.Receive(ctx); err != nil {
		return err
	}
	go c.Receive(ctx)
	return nil
}

func holdGorilla(url string) error {
	c, _, err := gorilla.DefaultDialer.Dial(url, nil)
	if err != nil {
		return err
	}
	if err := c.WriteMessage(gorilla.TextMessage, hello); err != nil {
		return err
	}
	if _, _, err := c.ReadMessage(); err != nil {
		return err
	}
	go c.ReadMessage()
	return nil
}

func holdCoder(url string) error {
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	if err := c.Write(ctx, websocket.MessageText, hello); err != nil {
		return err
	}
	if _, _, err := c.Read(ctx); err != nil {
		return err
	}
	go c.Read(ctx)
	return nil
}

func holdGobwas(url string) error {
	nc, _, _, err := ws.Dial(context.Background(), url)
	if err != nil {
		return err
	}
	if err := wsutil.WriteClientText(nc, hello); err != nil {
		return err
	}
	if _, err := wsutil.ReadServerText(nc); err != nil {
		return err
	}
	go wsutil.ReadServerText(nc)
	return nil
}

// An awaited is a handler that reports each message.
type awaited struct {
	gws.BuiltinEventHandler
	received chan struct{}
}

func (a awaited) OnMessage(_ *gws.Conn, m *gws.Message) {
	m.Close()
	a.received <- struct{}{}
}

func holdGws(url string) error {
	a := &awaited{received: make(chan struct{}, 1)}
	c, _, err := gws.NewClient(a, &gws.ClientOption{Addr: url})
	if err != nil {
		return err
	}
	go c.ReadLoop()
	if err := c.WriteMessage(gws.OpcodeText, hello); err != nil {
		return err
	}
	<-a.received
	return nil
}

// settled is the number of connections before the first measurement.
const settled = 100

// measure returns the growth of resident memory for each of n connections.
func measure(hold func(string) error, url string, n int) (int, error) {
	var before int
	for i := range settled + n {
		if i == settled {
			var err error
			if before, err = resident(); err != nil {
				return 0, err
			}
		}
		if err := hold(url); err != nil {
			return 0, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	after, err := resident()
	return (after - before) / n, err
}

// resident returns the resident memory of this process in bytes.
func resident() (int, error) {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kib, found := strings.CutPrefix(line, "Rss:"); found {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")))
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no Rss in %q", text)
}

// targets are the systems for which programs are built.
var targets = []struct {
	name string
	env  []string
}{
	{"linux/amd64", []string{"GOOS=linux", "GOARCH=amd64"}},
	{"linux/arm, ARMv5", []string{"GOOS=linux", "GOARCH=arm", "GOARM=5"}},
	{"linux/mipsle, soft float", []string{"GOOS=linux", "GOARCH=mipsle", "GOMIPS=softfloat"}},
	{"linux/riscv64", []string{"GOOS=linux", "GOARCH=riscv64"}},
}

// compare returns the page.
func compare(conns int) (string, error) {
	dir, err := os.MkdirTemp("", "constrained")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())
	url := "ws://" + ln.Addr().String() + "/"

	var b bytes.Buffer
	fmt.Fprintf(&b, "# Clients for constrained systems\n\nWritten by `make constrained`, %s, %s, %s/%s.\n\n", time.Now().UTC().Format("2 January 2006"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(&b, "## Size of a program\n\nA client that dials, sends a text, prints the echo and closes ([programs](../../bench/constrained)). Bytes, built by `CGO_ENABLED=0 go build -trimpath -ldflags='-s -w'`. The second line has the tag `notls`, which leaves crypto/tls out; the other libraries have no such tag.\n\n| library | version |")
	for _, t := range targets {
		fmt.Fprintf(&b, " %s |", t.name)
	}
	fmt.Fprintf(&b, "\n|---|---|%s\n", strings.Repeat("--:|", len(targets)))
	for _, name := range append([]string{"fibersock", "fibersock, notls"}, names[1:]...) {
		folder, tag, _ := strings.Cut(name, ", ")
		fmt.Fprintf(&b, "| %s | %s |", name, version(libraries[folder].module))
		for _, t := range targets {
			size, err := build(filepath.Join(dir, "program"), folder, tag, t.env)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, " %s |", thousands(size))
		}
		fmt.Fprintln(&b)
		log.Print(name, ": built")
	}
	fmt.Fprintf(&b, "\n## Memory of an idle connection\n\nThe growth of the client's resident memory for each of %s connections, behind the first %d, without TLS. Each has exchanged one message, and a goroutine waits for the next one. The buffers of the kernel do not count.\n\n| library | bytes |\n|---|--:|\n", thousands(conns), settled)
	for _, name := range names {
		n, err := hold(name, url, conns)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %s |\n", name, thousands(n))
		log.Print(name, ": measured")
	}
	fmt.Fprint(&b, "\nThe stack of the goroutine has 4 KiB in fibersock. Its connections have a read buffer of 4 KiB only while the server is not silent, and after a Read of more than a short message; gobwas keeps no buffer.\n")
	return b.String(), nil
}

// build builds a program and returns its size in bytes.
func build(file, name, tag string, env []string) (int, error) {
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tag, "-ldflags=-s -w", "-o", file, "./constrained/"+name)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return int(info.Size()), nil
}

// hold measures a library in a process of its own.
func hold(name, url string, conns int) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, "-hold", name, "-url", url, "-conns", strconv.Itoa(conns))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	io.Copy(io.Discard, stdout)
	if wait := cmd.Wait(); wait != nil {
		return 0, fmt.Errorf("%s: %w", name, wait)
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// version returns the version of a module in this program.
func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == module && m.Replace == nil {
			return m.Version
		}
	}
	return "this"
}

// thousands returns n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
