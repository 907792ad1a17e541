package interop

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
)

// A browser is a headless Chromium, driven over the DevTools protocol, which is JSON over WebSocket, by our client.
type browser struct {
	conn   *client.Conn
	lastID int
	thrown []string // exceptions that no script of the pages caught
}

// startBrowser runs Chromium for the rest of t.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	chromium := start(t, exec.Command(find(t, "chromium", "chromium", "chromium-browser", "google-chrome"),
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--disable-extensions", "--disable-breakpad",
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-default-apps", "--no-proxy-server", "--ignore-certificate-errors",
		"--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), "about:blank"))
	url := chromium.errors.await(t, "DevTools listening on ")
	conn, err := client.Dial(patient(t), url, nil)
	check.Must(t, err)
	b := &browser{conn: conn}
	t.Cleanup(func() {
		conn.CloseNow()
		for _, e := range b.thrown {
			t.Errorf("a script threw: %s", e)
		}
	})
	return b
}

// call calls a method of the protocol, in the page with the given session or in the browser if that is empty, and decodes its result.
func (b *browser) call(session, method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	b.lastID++
	request := map[string]any{"id": b.lastID, "method": method, "params": params}
	if session != "" {
		request["sessionId"] = session
	}
	if err := b.conn.SendJSON(request); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		var response struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
			Method string
			Params struct{ ExceptionDetails exception }
		}
		if err := b.conn.ReceiveJSON(ctx, &response); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if response.Method == "Runtime.exceptionThrown" {
			b.thrown = append(b.thrown, response.Params.ExceptionDetails.String())
		}
		if response.ID != b.lastID {
			continue // an event
		}
		if response.Error != nil {
			return fmt.Errorf("%s: %s", method, response.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(response.Result, result)
	}
}

// An exception as DevTools describes it.
type exception struct {
	Text      string
	Exception struct{ Description string }
}

func (e exception) String() string { return e.Text + " " + e.Exception.Description }

// A page is a tab of the browser. Its methods end the test when they fail.
type page struct {
	t       *testing.T
	browser *browser
	session string
	target  string
}

// open opens url in a new tab and waits until it is loaded, its scripts included.
func (b *browser) open(t *testing.T, url string) *page {
	t.Helper()
	p := &page{t: t, browser: b}
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session, p.target = attached.SessionID, target.TargetID
	p.call("Runtime.enable", nil, nil) // reports exceptions
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.navigate(url)
	return p
}

// navigate loads url and waits for its scripts.
func (p *page) navigate(url string) {
	p.t.Helper()
	p.call("Page.navigate", map[string]any{"url": url}, nil)
	p.evaluate(`new Promise((done) => document.readyState === "complete" ? done() : addEventListener("load", () => done()))`, nil)
}

// follow loads the target of the link that a JavaScript expression returns.
func (p *page) follow(link string) {
	p.t.Helper()
	var href string
	p.evaluate("("+link+").href", &href)
	p.navigate(href)
}

func (p *page) call(method string, params map[string]any, result any) {
	p.t.Helper()
	if err := p.browser.call(p.session, method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

// in returns the same tab for another test.
func (p *page) in(t *testing.T) *page {
	other := *p
	other.t = t
	return &other
}

// evaluate decodes the value of a JavaScript expression, or of the promise that it is.
func (p *page) evaluate(expression string, value any) {
	p.t.Helper()
	if err := p.try(expression, value); err != nil {
		p.t.Fatal(err)
	}
}

// try is evaluate for goroutines that may not end the test.
func (p *page) try(expression string, value any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *exception
	}
	params := map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}
	if err := p.browser.call(p.session, "Runtime.evaluate", params, &answer); err != nil {
		return err
	}
	if answer.ExceptionDetails != nil {
		return errors.New(answer.ExceptionDetails.String())
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, value)
}

// until waits for the expression to become true, trying again whenever the document changes, and shows the page's text if it does not.
func (p *page) until(expression string) {
	p.t.Helper()
	var saw struct {
		True bool
		Text string
	}
	p.evaluate(fmt.Sprintf(`new Promise((done) => {
		const holds = () => (%s);
		const observer = new MutationObserver(() => { if (holds()) finish(true); });
		const timer = setTimeout(() => finish(false), %d);
		function finish(yes) {
			observer.disconnect();
			clearTimeout(timer);
			done({ true: yes, text: document.body.innerText });
		}
		observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		if (holds()) finish(true);
	})`, expression, patience.Milliseconds()/2), &saw)
	if !saw.True {
		p.t.Fatalf("never true: %s\nThe page shows:\n%s", expression, saw.Text)
	}
}

// set gives the form field called id a value, as typing it would.
func (p *page) set(id, value string) {
	p.t.Helper()
	p.evaluate(fmt.Sprintf(`(() => {
		const field = document.getElementById(%s);
		field.value = %s;
		for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
	})()`, js(id), js(value)), nil)
}

// click clicks on the element called id, which must be there and enabled.
func (p *page) click(id string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.getElementById(%s)?.matches(":enabled, a")`, js(id)))
	p.evaluate(fmt.Sprintf(`document.getElementById(%s).click()`, js(id)), nil)
}

// screenshot leaves a picture of the page in the folder artifacts, which is not under version control.
func (p *page) screenshot(name string) {
	p.t.Helper()
	p.call("Page.bringToFront", nil, nil)
	var shot struct{ Data string }
	p.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	const dir = "../artifacts"
	if err = errors.Join(err, os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, name), png, 0o666)); err != nil {
		p.t.Error(err)
	}
}

// js returns v as a JavaScript literal.
func js(v any) string {
	literal, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(literal)
}
