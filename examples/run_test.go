package examples

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/freeport"
	"github.com/fibersock/fibersock/wire"
)

// serves is the last line of a program that listens on a fixed port.
const serves = `ListenAndServe("localhost:8080")`

// programs are executables, by the folder of the program.
type programs map[string]string

// TestPrograms runs the programs. They are built together.
func TestPrograms(t *testing.T) {
	var changed []freeport.Program
	for _, server := range []string{"chat", "echo-server", "tutorial/names"} {
		changed = append(changed, freeport.Program{Dir: server, From: serves, To: "Serve(freePort())"})
	}
	changed = append(changed,
		freeport.Program{Dir: "routes", From: `http.ListenAndServe("localhost:8080", nil)`, To: "http.Serve(freePort(), nil)"},
		freeport.Program{Dir: "echo-client", From: `"ws://localhost:8080/"`, To: "argument()"})
	p := make(programs)
	for i, executable := range freeport.Build(t, changed...) {
		p[changed[i].Dir] = executable
	}
	t.Run("Chat", p.testChat)
	t.Run("Names", p.testNames)
	t.Run("Routes", p.testRoutes)
	t.Run("Echo", p.testEcho)
	t.Run("Minimal", p.testMinimal)
}

// start runs the server in a folder on a free port until the test ends, and
// returns its URL.
func (p programs) start(t *testing.T, folder string) string {
	t.Helper()
	return "ws://" + startProgram(t, p[folder]) + "/"
}

// startProgram runs a program until the test ends, and returns the address that
// it prints.
func startProgram(t *testing.T, program string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check.Must(t, err)
	check.Must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	check.Must(t, err)
	return strings.TrimSpace(address)
}

// Every client of the chat receives the messages of all, in order.
func (p programs) testChat(t *testing.T) {
	url := p.start(t, "chat")
	var clients []*client.Conn
	for i := range 3 {
		c, err := client.Dial(t.Context(), url, nil)
		check.Must(t, err)
		defer c.Close(wire.NormalClosure, "")
		clients = append(clients, c)
		check.Must(t, c.Sendf("client %d is here", i)) // and receives it, so that the server has all of them
		for j := range i + 1 {
			expect(t, clients[j], fmt.Sprintf("client %d is here", i))
		}
	}
	for i, c := range clients {
		check.Must(t, c.Sendf("from client %d: 世界", i))
		for _, other := range clients {
			expect(t, other, fmt.Sprintf("from client %d: 世界", i))
		}
	}
}

// The chat of the tutorial's second step has names.
func (p programs) testNames(t *testing.T) {
	url := p.start(t, "tutorial/names")
	join := func(query string) *client.Conn {
		c, err := client.Dial(t.Context(), url+query, nil)
		check.Must(t, err)
		return c
	}
	ada := join("?name=ada")
	expect(t, ada, `"ada" is here`)
	somebody := join("")
	for _, c := range []*client.Conn{ada, somebody} {
		expect(t, c, `"somebody" is here`)
	}
	check.Must(t, ada.SendBinary([]byte("ignored")))
	check.Must(t, ada.SendText("hello"))
	expect(t, somebody, `"ada": hello`)
	check.OK(t, ada.Close(wire.NormalClosure, ""))
	expect(t, somebody, `"ada" has left`)
	check.OK(t, somebody.Close(wire.NormalClosure, ""))
}

// The other routes of the README's server are those of net/http.
func (p programs) testRoutes(t *testing.T) {
	address := startProgram(t, p["routes"])
	c, err := client.Dial(t.Context(), "ws://"+address+"/echo", nil)
	check.Must(t, err)
	check.Must(t, c.SendText("hello"))
	expect(t, c, "hello")
	check.OK(t, c.Close(wire.NormalClosure, ""))
	response, err := http.Get("http://" + address + "/")
	check.Must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "WebSocket is at /echo\n" {
		t.Errorf("%q, %v", body, err)
	}
}

// The client of the README prints the echo of the server.
func (p programs) testEcho(t *testing.T) {
	for _, server := range []string{"echo-server", "chat"} {
		url := p.start(t, server)
		out, err := exec.Command(p["echo-client"], url).CombinedOutput()
		if err != nil || string(out) != "Hello, 世界\n" {
			t.Errorf("with %s: %q, %v", server, out, err)
		}
	}
}

// The client of the size measurements prints the echo of the server, also
// without TLS.
func (p programs) testMinimal(t *testing.T) {
	url := p.start(t, "echo-server")
	for _, tags := range []string{"", "notls"} {
		minimal := filepath.Join(t.TempDir(), "minimal.exe") // for Windows
		if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-tags", tags, "-o", minimal, "./minimal").CombinedOutput(); err != nil {
			t.Fatalf("tags %q: %v\n%s", tags, err, out)
		}
		for _, c := range []struct{ message, want string }{{"", "hello\n"}, {"世界", "世界\n"}} {
			args := []string{url}
			if c.message != "" {
				args = append(args, c.message)
			}
			out, err := exec.Command(minimal, args...).CombinedOutput()
			if err != nil || string(out) != c.want {
				t.Errorf("tags %q, message %q: %q, %v", tags, c.message, out, err)
			}
		}
	}
}

// expect receives a text.
func expect(t *testing.T, c *client.Conn, want string) {
	t.Helper()
	if m, err := c.Receive(t.Context()); err != nil || m.Text() != want {
		t.Errorf("received %q, %v; want %q", m.Text(), err, want)
	}
}
