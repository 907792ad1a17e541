package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// TestPageFeatures uses the rest of the page: diagnoses, details, keys, files, links, layouts.
func TestPageFeatures(t *testing.T) {
	v := visit{startBrowser(t), startServe(t)}
	t.Run("explains failures", v.explainsFailures)
	t.Run("shows JSON as a tree", v.showsJSON)
	t.Run("saves messages", v.savesMessages)
	t.Run("shows frames", v.showsFrames)
	t.Run("recalls and keeps messages", v.recallsMessages)
	t.Run("takes dropped files", v.takesFiles)
	t.Run("shares links", v.sharesLinks)
	t.Run("reconnects", v.reconnects)
	t.Run("shows hostile text as text", v.showsHostileText)
	t.Run("rejects inline scripts and styles", v.rejectsInlineScripts)
	t.Run("is usable by keys", v.isUsableByKeys)
	t.Run("draws round-trip times", v.drawsRoundTrips)
	t.Run("chats with people and history", v.chatsWithHistory)
	t.Run("fits a phone", v.fitsAPhone)
	t.Run("is accessible", v.isAccessible)
}

// echoURL is the URL of the server's echo.
func (v visit) echoURL() string { return strings.Replace(v.url, "http", "ws", 1) + "echo" }

func (v visit) origin() string { return strings.TrimSuffix(v.url, "/") }

// A browser tells a page nothing about a failure. The server behind the page tells its cause.
func (v visit) explainsFailures(t *testing.T) {
	p := v.browser.open(t, v.url)
	// The page has the token of a server that was started again.
	p.evaluate(`(() => {
		const real = window.fetch;
		window.fetch = (url, options) => {
			if (!String(url).endsWith("/page/config")) return real(url, options);
			window.fetch = real;
			return Promise.resolve(new Response('{"token":"of an earlier server"}'));
		};
	})()`, nil)
	unauthorized := strings.TrimSuffix(serveHTTP(t, options{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })), "/")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	closed.Close()
	for _, c := range []struct{ name, url, subprotocols, kind, text string }{
		{"404", strings.Replace(v.echoURL(), "/echo", "/nowhere", 1), "", "status-404", "404"},
		{"401", unauthorized, "", "status-401", "401"},
		{"closed port", "ws://" + closed.Addr().String() + "/", "", "closed-port", ""},
		{"bad DNS", "ws://no-such-host.invalid/", "", "dns", ""},
		{"wss on a plain port", strings.Replace(v.echoURL(), "ws:", "wss:", 1), "", "plain-port", "TLS"},
		{"refused subprotocol", v.echoURL(), "unknown", "subprotocol", "unknown"},
		{"foreign origin", startCloser(t), "", "status-403", "403"},
	} {
		p.set("url", c.url)
		p.set("subprotocols", c.subprotocols)
		p.click("connect")
		p.until(state("state", "failed"))
		p.until(`!document.getElementById("diagnosis").hidden && document.getElementById("diagnosis").dataset.kind !== "pending"`)
		var kind, text string
		p.evaluate(`document.getElementById("diagnosis").dataset.kind`, &kind)
		p.evaluate(`document.getElementById("diagnosis").innerText`, &text)
		if !strings.HasPrefix(kind, c.kind) || !strings.Contains(text, c.text) || len(strings.Fields(text)) < 8 {
			t.Errorf("%s: the diagnosis is %q: %s", c.name, kind, text)
		}
		p.screenshot("diagnosis-" + strings.ReplaceAll(c.name, " ", "-") + ".png")
	}
	// It is in the log, and removed by the next attempt.
	p.until(`[...document.querySelectorAll("#log li[data-type=error]")].some((li) => li.innerText.includes("does not accept this client"))`)
	p.set("url", v.echoURL())
	p.connect()
	p.until(`document.getElementById("diagnosis").hidden`)
}

// row is the newest entry with this direction and type, in JavaScript.
func row(dir, kind string) string {
	return fmt.Sprintf("[...document.querySelectorAll('#log li[data-dir=%s][data-type=%s]')].at(-1)", dir, kind)
}

// send sends a text and waits for its echo.
func (p *page) send(text string) {
	p.t.Helper()
	p.set("message", text)
	var before int
	p.evaluate(`Number(`+row("in", "text")+`?.dataset.seq ?? -1)`, &before)
	p.click("send-text")
	p.until(fmt.Sprintf(`Number(%s?.dataset.seq ?? -1) > %d && %[1]s.dataset.rtt`, row("in", "text"), before))
}

// expand opens the newest entry with this direction and type, and returns its details in JavaScript.
func (p *page) expand(dir, kind string) string {
	p.t.Helper()
	var seq string
	p.evaluate(row(dir, kind)+`.dataset.seq`, &seq)
	li := fmt.Sprintf(`document.querySelector("#log li[data-seq='%s']")`, seq)
	p.evaluate(li+`.querySelector(".line").click()`, nil)
	details := li + `.querySelector(".details")`
	p.until(details)
	return details
}

func (p *page) press(details, action string) {
	p.t.Helper()
	p.evaluate(fmt.Sprintf(`%s.querySelector("[data-action=%s]").click()`, details, action), nil)
}

func (v visit) showsJSON(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.call("Browser.grantPermissions", map[string]any{"permissions": []string{"clipboardReadWrite"}, "origin": v.origin()}, nil)
	p.call("Page.bringToFront", nil, nil)
	p.connect()
	const message = `{"name":"Ada","big":12345678901234567890,"deep":{"list":[1,2,{"<b>":"<i>"}]},"no":null,"yes":true,"empty":{}}`
	p.send(message)
	details := p.expand("in", "text")
	p.until(details + `.querySelector(".json summary").textContent === "{ 6 items }"`)
	p.until(details + `.innerText.includes("12345678901234567890")`)
	p.until(details + `.querySelectorAll(".json details[open]").length === 1`)
	p.press(details, "expand-all")
	p.until(details + `.innerText.includes("<b>: \"<i>\"") && !` + details + `.querySelector("b, i")`)
	p.screenshot("json.png")
	p.press(details, "view")
	p.until(details + `.querySelector("pre").textContent === ` + js(message))
	p.press(details, "copy")
	p.until(details + `.querySelector("[data-action=copy]").textContent === "Copied"`)
	var copied string
	p.evaluate(`navigator.clipboard.readText()`, &copied)
	check.Equal(t, copied, message, "the clipboard")
	p.press(details, "edit")
	p.until(`document.getElementById("message").value === ` + js(message))
	p.press(details, "resend")
	p.until(`document.querySelectorAll("#log li[data-dir=in]").length === 2`)
	p.evaluate(details+`.parentElement.querySelector(".line").click()`, nil)
	p.until(`!document.querySelector("#log .details")`)
	p.click("jump")

	// Children are drawn when they are opened, a part at a time.
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf(`{"n":%d}`, i))
	}
	p.send("[" + strings.Join(many, ",") + "]")
	details = p.expand("in", "text")
	p.until(details + `.querySelectorAll(".json-children > details").length === 200`)
	p.evaluate(`[...`+details+`.querySelectorAll(".json-children > button")].at(-1).click()`, nil)
	p.until(details + `.querySelectorAll(".json-children > details").length === 400`)
}

// Downloads are files of the browser.
func (v visit) savesMessages(t *testing.T) {
	p := v.browser.open(t, v.url)
	dir := t.TempDir()
	p.call("Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": dir}, nil)
	p.connect()
	p.send(`{"a":1}`)
	p.press(p.expand("in", "text"), "save")
	check.Equal(t, downloaded(t, dir, ".json"), `{"a":1}`, "the message")
	p.click("send-binary")
	p.until(row("in", "binary"))
	p.press(p.expand("in", "binary"), "save")
	check.Equal(t, len(downloaded(t, dir, ".bin")), 1024, "bytes of the message")
	p.click("save-log")
	lines := strings.Split(strings.TrimSpace(downloaded(t, dir, ".jsonl")), "\n")
	if len(lines) != 5 { // open, and two messages each way
		t.Errorf("%d lines: %s", len(lines), lines)
	}
	var line struct {
		Direction, Type, Text string
		Size                  int
	}
	check.Must(t, json.Unmarshal([]byte(lines[2]), &line))
	if line.Direction != "in" || line.Type != "text" || line.Text != `{"a":1}` || line.Size != 7 {
		t.Errorf("line %s", lines[2])
	}
}

// downloaded returns the file with an extension when it is complete.
func downloaded(t *testing.T, dir, ext string) string {
	t.Helper()
	for ctx := patient(t); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(dir, "*"+ext))
		check.Must(t, err)
		if len(files) > 0 { // Chromium renames a complete download
			text, err := os.ReadFile(files[0])
			check.Must(t, err)
			return string(text)
		}
	}
	t.Fatalf("no download with %s", ext)
	return ""
}

func (v visit) showsFrames(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	p.send(strings.Repeat("all work and no play ", 100))
	for _, dir := range []string{"out", "in"} {
		details := p.expand(dir, "text")
		p.evaluate(details+`.querySelector("[data-part=frames] summary").click()`, nil)
		p.until(details + `.querySelector("[data-source=counted]")`)
		p.until(details + `.querySelector("[data-before='2100']")`)
		var after int
		p.evaluate(`Number(`+details+`.querySelector("[data-after]").dataset.after)`, &after)
		if after < 10 || after > 200 {
			t.Errorf("%s: %d bytes after compression", dir, after)
		}
		var cells []string
		p.evaluate(`[...`+details+`.querySelectorAll("td")].map((td) => td.textContent)`, &cells)
		mask := map[string]string{"out": "1", "in": "0"}[dir]
		if len(cells) != 6 || cells[0] != "1 text" || cells[1] != "1" || cells[2] != "1" || cells[3] != mask || cells[5] != fmt.Sprintf("%d B", after) {
			t.Errorf("%s: %q", dir, cells)
		}
	}
	p.screenshot("frames.png")

	// For another server the page computes.
	p.click("disconnect")
	p.until(state("state", "closed"))
	p.click("clear")
	p.set("url", startPlainEcho(t, v.origin()))
	p.connect()
	p.send("Hello")
	details := p.expand("out", "text")
	p.evaluate(details+`.querySelector("[data-part=frames] summary").click()`, nil)
	p.until(details + `.querySelector("[data-source=computed]")`)
	p.until(details + `.querySelector("[data-before='5'][data-after='5']") && ` + details + `.querySelectorAll("td")[2].textContent === "0"`)
}

// startPlainEcho serves an echo without compression.
func startPlainEcho(t *testing.T, origins ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	listenDirectly(t, &server.Server{Origins: origins, Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { check.OK(t, c.Send(op, p)) },
	}}, ln)
	return "ws://" + ln.Addr().String() + "/"
}

// keys presses keys, as KeyboardEvent.key names them.
func (p *page) keys(keys ...string) {
	p.t.Helper()
	codes := map[string]int{"Enter": 13, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, " ": 32}
	for _, key := range keys {
		text := ""
		if key == "Enter" {
			text = "\r"
		} else if key == " " {
			text = " "
		}
		event := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key], "text": text}
		p.call("Input.dispatchKeyEvent", event, nil)
		event["type"] = "keyUp"
		delete(event, "text")
		p.call("Input.dispatchKeyEvent", event, nil)
	}
}

func (p *page) focus(id string) {
	p.t.Helper()
	p.evaluate(fmt.Sprintf(`document.getElementById(%s).focus()`, js(id)), nil)
}

func (p *page) value(id string) (value string) {
	p.t.Helper()
	p.evaluate(fmt.Sprintf(`document.getElementById(%s).value`, js(id)), &value)
	return value
}

func (v visit) recallsMessages(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.call("Page.bringToFront", nil, nil)
	p.evaluate(`localStorage.clear()`, nil)
	p.navigate(v.url)
	p.connect()
	p.send("first")
	p.send("second\nline")
	p.set("message", "draft")
	p.focus("message")
	for _, step := range []struct{ key, want string }{
		{"ArrowUp", "second\nline"}, {"Home", "second\nline"}, {"ArrowUp", "second\nline"}, {"ArrowUp", "first"}, {"ArrowUp", "first"},
		{"ArrowDown", "second\nline"}, {"ArrowDown", "draft"}, {"ArrowDown", "draft"},
	} {
		p.keys(step.key)
		if got := p.value("message"); got != step.want {
			t.Fatalf("after %s the field has %q, want %q", step.key, got, step.want)
		}
	}
	p.set("message", `{"subscribe":"all"}`)
	p.set("save-name", "subscribe <b>")
	p.click("save-message")
	p.navigate(v.url) // both survive
	p.set("saved", "0")
	check.Equal(t, p.value("message"), `{"subscribe":"all"}`, "the message with a name")
	p.until(`document.getElementById("saved").selectedOptions[0].textContent === "subscribe <b>"`)
	p.click("forget-message")
	p.until(`document.getElementById("saved").options.length === 1`)
	p.set("message", "")
	p.focus("message")
	p.keys("ArrowUp")
	check.Equal(t, p.value("message"), "second\nline", "the latest message")
}

func (v visit) takesFiles(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	for _, kind := range []string{"binary", "text"} {
		p.evaluate(`(() => {
			const files = new DataTransfer();
			files.items.add(new File(["<b>file</b>"], "<i>.txt"));
			for (const type of ["dragenter", "dragover", "drop"]) {
				document.getElementById("log").dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
			}
		})()`, nil)
		p.until(`!document.getElementById("staged").hidden && document.getElementById("staged-name").textContent === "<i>.txt, 11 B"`)
		p.click("staged-" + kind)
		p.until(row("in", kind) + `?.dataset.size === "11" && document.getElementById("staged").hidden`)
	}
	p.until(row("in", "text") + `.querySelector("bdi").textContent === "<b>file</b>"`)
}

func (v visit) sharesLinks(t *testing.T) {
	p := v.browser.open(t, v.url+"?url=ws%3A%2F%2Fserver.example%2Fpath%3Fq&subprotocols=a%2C+b")
	check.Equal(t, p.value("url"), "ws://server.example/path?q", "URL of the link")
	check.Equal(t, p.value("subprotocols"), "a, b", "subprotocols of the link")
	p.until(state("state", "closed")) // a link does not connect
	p.evaluate(`document.querySelector("#share summary").click()`, nil)
	p.until(`document.getElementById("share-link").value === ` + js(v.url+"?url=ws%3A%2F%2Fserver.example%2Fpath%3Fq&subprotocols=a%2C+b"))
	p.evaluate(`document.getElementById("share-qr").decode()`, nil)
	p.until(`document.getElementById("share-note").textContent.includes("loopback")`)
	p.screenshot("share.png")
	p.navigate(v.url + "?url=javascript%3Aalert(1)")
	check.Equal(t, p.value("url"), v.echoURL(), "URL of a link without a WebSocket URL")
}

func (v visit) reconnects(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.set("url", startCloser(t, v.origin()))
	p.click("reconnect")
	p.connect()
	for i, code := range []string{"1012", "1001"} {
		p.set("message", code)
		p.click("send-text")
		p.until(fmt.Sprintf(`document.querySelectorAll("#log li[data-type=open]").length === %d`, i+2))
		p.until(state("state", "open"))
	}
	// The user's close, and codes that will not change, end it.
	p.set("message", "1008 no")
	p.click("send-text")
	p.until(state("state", "closed"))
}

// hostileText would run as HTML, as a URL or in an attribute.
const hostileText = `<img src=x onerror="window.ran=1"><script>window.ran=1</script>"onmouseover="window.ran=1 javascript:window.ran=1`

func (v visit) showsHostileText(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	for _, text := range []string{hostileText, `{` + js(hostileText) + `:[` + js(hostileText) + `]}`} {
		p.send(text)
		details := p.expand("in", "text")
		p.until(details + `.innerText.includes("<script>") || ` + details + `.innerText.includes("<img")`)
		p.until(details + `.querySelector("[data-part=frames]")`)
	}
	p.click("clear")
	p.click("disconnect")
	p.until(state("state", "closed"))
	p.click("clear")
	p.set("url", startCloser(t, v.origin()))
	p.connect()
	p.set("message", "4000 "+hostileText[:100])
	p.click("send-text")
	p.sawClose(4000, hostileText[:100])

	chat := v.browser.open(t, v.url+"#chat")
	chat.set("chat-name", hostileText[:40])
	chat.click("chat-join")
	chat.until(state("chat-state", "open"))
	chat.set("chat-text", hostileText)
	chat.click("chat-send")
	chat.until(`[...document.querySelectorAll("#chat-log li")].some((li) => li.innerText.includes("<script>"))`)
	for _, p := range []*page{p, chat} {
		var found int
		p.evaluate(`document.querySelectorAll("main img:not(#share-qr), main script, main [onerror], main [onmouseover]").length + (window.ran ?? 0)`, &found)
		if found > 0 {
			t.Error("text of a peer has become an element")
		}
	}
}

func (v visit) rejectsInlineScripts(t *testing.T) {
	p := v.browser.open(t, v.url)
	var violations []string
	p.evaluate(`new Promise((done) => {
		const seen = [];
		addEventListener("securitypolicyviolation", (e) => {
			seen.push(e.effectiveDirective);
			if (seen.length === 3) done(seen.sort());
		});
		const script = document.createElement("script");
		script.textContent = "window.ran = 1";
		document.body.append(script);
		const styled = document.createElement("p");
		styled.setAttribute("style", "color: red");
		document.body.append(styled);
		const image = new Image();
		image.src = "http://127.0.0.1:1/x.png";
	})`, &violations)
	check.Equal(t, strings.Join(violations, " "), "img-src script-src-elem style-src-attr", "violations of the policy")
	p.until(`window.ran === undefined`)
}

func (v visit) isUsableByKeys(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.call("Page.bringToFront", nil, nil)
	p.focus("url")
	p.keys("Enter")
	p.until(state("state", "open"))
	p.until(`document.activeElement.id === "message"`)
	for _, text := range []string{"one", "two"} {
		p.call("Input.insertText", map[string]any{"text": text}, nil)
		p.keys("Enter")
		p.until(row("in", "text") + `?.querySelector("bdi").textContent === ` + js(text))
	}
	p.focus("log-scroll")
	p.keys("ArrowUp")
	p.until(`document.activeElement.closest("li")?.dataset.dir === "in" && document.activeElement.innerText.includes("two")`)
	p.keys("ArrowUp", "ArrowUp", "ArrowUp")
	p.until(`document.activeElement.closest("li")?.dataset.dir === "out" && document.activeElement.innerText.includes("one")`)
	p.keys("Enter")
	p.until(`document.activeElement.getAttribute("aria-expanded") === "true"`)
	p.keys("Tab")
	p.until(`document.activeElement.dataset.action === "copy"`)
	p.focus("tab-console")
	p.keys("ArrowRight")
	p.until(`document.activeElement.id === "tab-chat" && !document.getElementById("view-chat").hidden`)
}

func (v visit) drawsRoundTrips(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	p.click("measure")
	p.until(entry("event", "measure", "data-rtt"))
	p.evaluate(`document.querySelector("#rtt-graph summary").click()`, nil)
	p.until(`document.querySelector("#rtt-plot .spark-line").getAttribute("d").split("L").length === 100`)
	p.until(`document.getElementById("rtt-plot").getAttribute("aria-label").startsWith("Graph of 100 round-trip times")`)
	p.until(`document.querySelectorAll("#rtt-facts dd").length === 5 && [...document.querySelectorAll("#rtt-facts dd")].every((dd) => dd.textContent.endsWith("ms"))`)
}

func (v visit) chatsWithHistory(t *testing.T) {
	join := func(name string) *page {
		t.Helper()
		p := v.browser.open(t, v.url+"#chat")
		p.set("chat-name", name)
		p.click("chat-join")
		p.until(state("chat-state", "open"))
		return p
	}
	sees := func(p *page, names ...string) {
		t.Helper()
		for _, name := range names {
			p.until(fmt.Sprintf(`[...document.querySelectorAll("#chat-people li")].some((li) => li.textContent === %s)`, js(name)))
		}
	}
	ada := join("Ada")
	ada.set("chat-text", "Is somebody here?")
	ada.click("chat-send")
	ada.until(`[...document.querySelectorAll("#chat-log li[data-mine=true]")].some((li) => li.innerText.includes("Is somebody"))`)
	grace := join("Grace")
	grace.until(`[...document.querySelectorAll("#chat-log li[data-name=Ada]")].some((li) => li.innerText.includes("Is somebody"))`)
	sees(grace, "Ada", "Grace (you)")
	sees(ada, "Ada (you)", "Grace")
	grace.screenshot("chat-history.png")
	grace.click("chat-join")
	ada.until(`![...document.querySelectorAll("#chat-people li")].some((li) => li.textContent === "Grace")`)
}

// emulate sets the size of the window and the color scheme.
func (p *page) emulate(width, height int, mobile bool, scheme string) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}, nil)
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// On a phone the reply is in sight without scrolling, in both schemes.
func (v visit) fitsAPhone(t *testing.T) {
	for _, scheme := range []string{"light", "dark"} {
		p := v.browser.open(t, v.url)
		p.emulate(390, 844, true, scheme)
		p.navigate(v.url)
		p.call("Page.bringToFront", nil, nil)
		p.connect()
		for i := range 12 {
			p.send(fmt.Sprintf("message %d", i))
		}
		var box struct {
			Top, Bottom, Scrolled, Wide, Composer float64
			Hit                                   bool
			Cut                                   []string // controls that the right edge cuts
		}
		p.evaluate(`(() => {
			const li = `+row("in", "text")+`;
			const { top, bottom } = li.getBoundingClientRect();
			return { top, bottom, scrolled: scrollY, wide: document.documentElement.scrollWidth,
				composer: document.getElementById("send-text").getBoundingClientRect().bottom,
				cut: [...document.querySelectorAll("button, input, select")].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > (e.closest(".card")?.getBoundingClientRect().right ?? innerWidth)).map((e) => e.id),
				hit: li.contains(document.elementFromPoint(195, (top + bottom) / 2)) };
		})()`, &box)
		if box.Top < 0 || box.Bottom > 844 || box.Composer > 844 || box.Scrolled != 0 || box.Wide > 390 || !box.Hit || len(box.Cut) > 0 {
			t.Errorf("%s: the reply is at %+v, in a window of 390x844", scheme, box)
		}
		p.screenshot("phone-" + scheme + ".png")
		p.click("tab-chat")
		p.set("chat-name", "Ada")
		p.click("chat-join")
		p.until(state("chat-state", "open"))
		p.set("chat-text", "Hello from a phone")
		p.click("chat-send")
		p.until(`(() => {
			const mine = [...document.querySelectorAll("#chat-log li[data-mine=true]")].at(-1)?.getBoundingClientRect();
			return mine && mine.top >= 0 && mine.bottom <= 844 && scrollY === 0 && document.documentElement.scrollWidth <= 390;
		})()`)
		p.screenshot("phone-chat-" + scheme + ".png")
	}
}

// axe-core finds nothing serious or critical, in any view, size and scheme.
func (v visit) isAccessible(t *testing.T) {
	for _, scheme := range []string{"light", "dark"} {
		for _, size := range []struct {
			name          string
			width, height int
		}{{"desktop", 1280, 900}, {"phone", 390, 844}} {
			p := v.browser.open(t, v.url)
			p.emulate(size.width, size.height, size.name == "phone", scheme)
			p.navigate(v.url)
			p.call("Page.bringToFront", nil, nil)
			p.loadAxe()
			where := scheme + ", " + size.name + ", "
			p.passesAxe(where + "closed")
			p.connect()
			p.send("Hello")
			p.send(`{"a":[1,"two",null,{"b":true}]}`)
			details := p.expand("in", "text")
			p.press(details, "expand-all")
			p.evaluate(details+`.querySelector("[data-part=frames] summary").click()`, nil)
			p.until(details + `.querySelector("table")`)
			p.click("send-binary")
			p.until(row("in", "binary") + `?.dataset.verified`)
			p.evaluate(`for (const id of ["share", "rtt-graph", "options"]) document.getElementById(id).open = true`, nil)
			p.evaluate(`document.getElementById("share-qr").decode().catch(() => 0)`, nil)
			p.set("filter", "/(/")
			p.set("filter", "")
			p.passesAxe(where + "open")
			p.screenshot("axe-" + scheme + "-" + size.name + ".png")
			p.click("disconnect")
			p.until(state("state", "closed"))
			p.set("url", strings.Replace(v.echoURL(), "/echo", "/nowhere", 1))
			p.click("connect")
			p.until(`document.getElementById("diagnosis").dataset.kind === "status-404"`)
			p.passesAxe(where + "failed")
			p.click("tab-chat")
			p.passesAxe(where + "chat, closed")
			p.set("chat-name", "Ada")
			p.click("chat-join")
			p.until(state("chat-state", "open") + ` && document.querySelector("#chat-people li")`)
			p.set("chat-text", "Hello")
			p.click("chat-send")
			p.until(`document.querySelector("#chat-log li[data-type=message]")`)
			p.passesAxe(where + "chat")
		}
	}
}

// loadAxe adds axe-core to the page.
func (p *page) loadAxe() {
	p.t.Helper()
	axe, err := os.ReadFile("peers/node_modules/axe-core/axe.min.js")
	if err != nil {
		p.t.Fatalf("axe-core is not installed: make peers: %v", err)
	}
	p.evaluate(string(axe)+"; 0", nil)
}

// passesAxe checks the page as it is now.
func (p *page) passesAxe(where string) {
	p.t.Helper()
	var result struct {
		Violations []struct {
			ID, Impact, Help string
			Nodes            []struct{ HTML, FailureSummary string }
		}
		Passes int
	}
	p.evaluate(`axe.run().then(({ violations, passes }) => ({ violations, passes: passes.length }))`, &result)
	if result.Passes < 10 {
		p.t.Errorf("%s: axe has checked %d rules", where, result.Passes)
	}
	for _, violation := range result.Violations {
		var nodes bytes.Buffer
		for _, n := range violation.Nodes {
			fmt.Fprintf(&nodes, "\n  %s\n    %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
		}
		if violation.Impact == "serious" || violation.Impact == "critical" {
			p.t.Errorf("%s: axe: %s (%s): %s%s", where, violation.ID, violation.Impact, violation.Help, &nodes)
		} else {
			p.t.Logf("%s: axe: %s (%s): %s%s", where, violation.ID, violation.Impact, violation.Help, &nodes)
		}
	}
}
