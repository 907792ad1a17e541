package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/freeport"
)

// TestExamplePages uses the pages of the examples in a real browser. axe-core
// finds nothing serious in them.
func TestExamplePages(t *testing.T) {
	b := startBrowser(t)
	for name, use := range map[string]func(*testing.T, *browser, string){
		"rooms":     useRooms,
		"dashboard": useDashboard,
		"upload":    useUpload,
		"llm":       useLLM,
		"session":   useSession,
		"wasm":      useWasm,
	} {
		t.Run(name, func(t *testing.T) {
			use(t, b, startExample(t, name))
		})
	}
}

// A visitor of a room gets the messages from before, and the text of others
// never becomes HTML.
func useRooms(t *testing.T, b *browser, url string) {
	enter := func(name string) *page {
		p := b.open(t, url)
		p.set("name", name)
		p.click("enter")
		p.until(line("log", name+" is here"))
		return p
	}
	ada := enter("Ada")
	ada.set("text", "<b>Grüße</b> 🙂")
	ada.click("send")
	ada.until(line("log", "Ada: <b>Grüße</b> 🙂"))
	grace := enter("Grace")
	grace.until(line("log", "Ada: <b>Grüße</b> 🙂"))
	ada.until(line("log", "Grace is here"))
	grace.set("room", "music")
	grace.click("enter")
	ada.until(line("log", "Grace has left"))
	ada.screenshot("example-rooms.png")
	ada.loadAxe()
	ada.passesAxe("rooms")
}

func useDashboard(t *testing.T, b *browser, url string) {
	p := b.open(t, url)
	p.until(`document.getElementById("state").textContent === "live"`)
	p.until(`document.getElementById("viewers").textContent === "1"`)
	p.until(`document.getElementById("line").points.length >= 2`)
	p.screenshot("example-dashboard.png")
	p.loadAxe()
	p.passesAxe("dashboard")
}

func useUpload(t *testing.T, b *browser, url string) {
	p := b.open(t, url)
	// Input of a file is not possible by a script of the page: the script makes
	// one of 8 MB and puts it into the field.
	p.evaluate(`(() => {
		const files = new DataTransfer();
		files.items.add(new File(["0123456789abcdef".repeat(500000)], "digits.txt"));
		document.getElementById("file").files = files.files;
		document.getElementById("file").dispatchEvent(new Event("change"));
	})()`, nil)
	sum := sha256.New()
	for range 500_000 {
		fmt.Fprint(sum, "0123456789abcdef")
	}
	p.until(`document.getElementById("sha256").textContent === ` + js(hex.EncodeToString(sum.Sum(nil))))
	p.until(`document.getElementById("progress").value === 1`)
	p.until(`document.getElementById("state").textContent === "8000000 of 8000000 bytes"`)
	p.screenshot("example-upload.png")
	p.loadAxe()
	p.passesAxe("upload")
}

// An answer continues behind the last token when the connection is lost.
func useLLM(t *testing.T, b *browser, url string) {
	p := b.open(t, url)
	ask := func(prompt string) {
		p.set("prompt", prompt)
		p.click("ask")
	}
	const answer = `[...document.querySelectorAll(".answer")].at(-1)`
	ask("one two three four five")
	p.until(answer + `?.textContent.startsWith("one two ")`)
	p.evaluate(`socket.close()`, nil)
	p.until(answer + `.dataset.ended`)
	p.until(answer + `.textContent === "one two three four five "`)
	ask("a very long answer that nobody wants to read to its end, and that is therefore stopped by the reader in the middle")
	p.until(answer + `.textContent.startsWith("a very ")`)
	p.click("stop")
	p.until(answer + `.textContent.endsWith("(stopped)")`)
	p.screenshot("example-llm.png")
	p.loadAxe()
	p.passesAxe("llm")
}

// Signing out in one tab closes the connection of the other.
func useSession(t *testing.T, b *browser, url string) {
	p := b.open(t, url)
	p.until(`document.getElementById("state").textContent === "not connected"`)
	p.set("name", "Ada")
	p.set("password", "wrong")
	p.click("enter")
	p.until(`document.getElementById("state").textContent.trim() === "wrong password"`)
	p.set("password", "secret")
	p.click("enter")
	p.until(line("log", "Hello, Ada."))
	other := b.open(t, url)
	other.until(line("log", "Hello, Ada."))
	other.screenshot("example-session.png")
	other.loadAxe()
	other.passesAxe("session")
	p.click("sign-out")
	for _, tab := range []*page{p, other} {
		tab.until(`document.getElementById("state").textContent === "signed out"`)
	}
	p.navigate(url)
	p.until(`document.getElementById("state").textContent === "not connected"`)
}

func useWasm(t *testing.T, b *browser, url string) {
	p := b.open(t, url)
	p.until(`document.getElementById("state").textContent === "open"`)
	p.set("text", nonASCII)
	p.click("send")
	p.until(line("log", nonASCII))
	p.screenshot("example-wasm.png")
	p.loadAxe()
	p.passesAxe("wasm")

	// The program goes on after the end of the connection: its timers may fire.
	p.evaluate(`void (document.getElementById("text").value = "x".repeat(17 << 20))`, nil) // more than the server accepts
	p.click("send")
	p.until(`document.getElementById("state").textContent.includes("1009")`)
	p.until(`!go.exited`)
}

// The page of the tutorial shows the names and texts of all, and the text of
// others never becomes HTML.
func TestTutorialPage(t *testing.T) {
	cmd := exec.Command(freeport.Build(t, freeport.Program{Dir: "../examples/tutorial/page", From: "web.ListenAndServe()", To: "web.Serve(freePort())"})[0])
	stdout, err := cmd.StdoutPipe()
	check.Must(t, err)
	start(t, cmd)
	lines := newLineWatch()
	go lines.readFrom(stdout)
	url := "http://127.0.0.1:" + lines.await(t, "127.0.0.1:") + "/"

	b := startBrowser(t)
	enter := func(name string) *page {
		p := b.open(t, "about:blank")
		p.call("Page.enable", nil, nil)
		p.call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": "window.prompt = () => " + js(name)}, nil)
		p.navigate(url)
		p.until(line("log", fmt.Sprintf("%q is here", name)))
		return p
	}
	say := func(p *page, text string) {
		p.set("text", text)
		p.evaluate(`document.querySelector("#form button").click()`, nil)
	}
	ada, grace := enter("ada"), enter("Grace & Co")
	ada.until(line("log", `"Grace & Co" is here`))
	say(ada, "<b>Grüße</b> 🙂")
	grace.until(line("log", `"ada": <b>Grüße</b> 🙂`))
	say(grace, "hello")
	ada.until(line("log", `"Grace & Co": hello`))
	grace.evaluate(`socket.close(3000)`, nil)
	grace.until(line("log", "closed with 3000"))
	ada.until(line("log", `"Grace & Co" has left`))
	ada.screenshot("example-tutorial.png")
	ada.loadAxe()
	ada.passesAxe("tutorial")
}

// line is a JavaScript expression: the list called id has an item with a text.
func line(id, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#%s li")].some((li) => li.textContent === %s)`, id, js(text))
}

// startExample runs an example for the rest of t and returns its URL.
func startExample(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", binary, "./examples/"+name)
	build.Dir = ".."
	out, err := build.CombinedOutput()
	check.Mustf(t, err, "%s", out)
	if name == "wasm" { // it compiles its page when it starts, which takes long for the first time
		build := exec.Command("go", "build", "-o", filepath.Join(t.TempDir(), "page.wasm"), "./examples/wasm")
		build.Dir, build.Env = "..", append(os.Environ(), "GOOS=js", "GOARCH=wasm")
		out, err := build.CombinedOutput()
		check.Mustf(t, err, "%s", out)
	}
	args := map[string][]string{
		"session": {"-password", "secret"},
		"upload":  {"-dir", t.TempDir()},
	}
	cmd := exec.Command(binary, append([]string{"-addr", "127.0.0.1:0"}, args[name]...)...)
	cmd.Dir = ".." // wasm compiles a package of the module
	return "http://" + start(t, cmd).errors.await(t, "http://")
}
