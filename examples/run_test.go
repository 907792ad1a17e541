package examples

import (
	"bufio"
	"encoding/json"
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
	"github.com/fibersock/fibersock/wire"
)

// listenOn is added to a program that is to listen on a free port. It prints
// the address.
const listenOn = `package main

import (
	"fmt"
	"net"
)

func freePort() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	return ln
}
`

// serves matches the last line of a program that listens on a fixed port.
const serves = `ListenAndServe("localhost:8080")`

// build compiles the program in a folder with one string of its source replaced
// by another, and returns the executable.
func build(t *testing.T, folder, from, to string) string {
	t.Helper()
	dir := t.TempDir()
	source := read(t, folder+"/main.go")
	if strings.Count(source, from) != 1 {
		t.Fatalf("%s has not one %s", folder, from)
	}
	overlay := make(map[string]string)
	for name, text := range map[string]string{"main.go": strings.Replace(source, from, to, 1), "port.go": listenOn} {
		inPlace, err := filepath.Abs(filepath.Join(folder, name))
		check.Must(t, err)
		overlay[inPlace] = filepath.Join(dir, name)
		check.Must(t, os.WriteFile(overlay[inPlace], []byte(text), 0o600))
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	check.Must(t, err)
	check.Must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600))
	program := filepath.Join(dir, "program.exe") // for Windows
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./"+folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return program
}

// start runs the server in a folder on a free port until the test ends, and
// returns its URL.
func start(t *testing.T, folder string) string {
	t.Helper()
	return "ws://" + startProgram(t, build(t, folder, serves, "Serve(freePort())")) + "/"
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
func TestChat(t *testing.T) {
	url := start(t, "chat")
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
func TestNames(t *testing.T) {
	url := start(t, "tutorial/names")
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
func TestRoutes(t *testing.T) {
	address := startProgram(t, build(t, "routes", `http.ListenAndServe("localhost:8080", nil)`, "http.Serve(freePort(), nil)"))
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
func TestEcho(t *testing.T) {
	for _, server := range []string{"echo-server", "chat"} {
		url := start(t, server)
		out, err := exec.Command(build(t, "echo-client", "ws://localhost:8080/", url)).CombinedOutput()
		if err != nil || string(out) != "Hello, 世界\n" {
			t.Errorf("with %s: %q, %v", server, out, err)
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
