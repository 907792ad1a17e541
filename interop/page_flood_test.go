package interop

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// pageBench makes TestPageFlood hold the figures for a machine without other load. Without it the bounds show only that the page
// is not frozen.
var pageBench = os.Getenv("PAGE_BENCH") != ""

// Bounds of the page: 10,000 messages are drawn within drawBound, and meanwhile no timer of the page is later than stallBound.
func drawBound() time.Duration {
	if pageBench {
		return 1500 * time.Millisecond
	}
	return patience
}

func stallBound() time.Duration {
	if pageBench {
		return 200 * time.Millisecond
	}
	return patience / 2
}

// A flood is the page's view of many messages.
type flood struct {
	Drawn float64 // milliseconds until the last message is drawn
	Stall float64 // milliseconds that a timer was late, at most
	Rows  int     // rows in the document
}

// floodScript defines flood(send, isDrawn): it calls send and waits until isDrawn holds in an animation frame and the frame has ended.
const floodScript = `
	window.flood = (send, isDrawn) => new Promise((done) => {
		const period = 10;
		let last = performance.now(), stall = 0;
		const timer = setInterval(() => {
			const now = performance.now();
			stall = Math.max(stall, now - last - period);
			last = now;
		}, period);
		const start = performance.now();
		const frame = () => {
			if (!isDrawn()) {
				requestAnimationFrame(frame);
				return;
			}
			setTimeout(() => {
				clearInterval(timer);
				done({ drawn: performance.now() - start, stall, rows: document.querySelectorAll("#log li").length });
			}, 0);
		};
		requestAnimationFrame(frame);
		send();
	});
	window.number = (id) => Number(document.getElementById(id).textContent.replaceAll(",", ""));
	window.lastRow = () => document.querySelector("#log li:last-child bdi")?.textContent ?? "";`

// hold prints the figures and checks them against the bounds.
func (f flood) hold(t *testing.T, what string, messages int, cpu time.Duration) {
	t.Helper()
	t.Logf("%s: drawn in %.0f ms, timers late by %.0f ms at most, %d rows in the document, %d ms of processor time in the page's process",
		what, f.Drawn, f.Stall, f.Rows, cpu.Milliseconds())
	if bound := drawBound() * time.Duration(max(1, messages/10000)); f.Drawn > float64(bound.Milliseconds()) {
		t.Errorf("%s: drawn in %.0f ms, more than %v", what, f.Drawn, bound)
	}
	if f.Stall > float64(stallBound().Milliseconds()) {
		t.Errorf("%s: a timer was late by %.0f ms, more than %v", what, f.Stall, stallBound())
	}
	if f.Rows == 0 || f.Rows > 100 {
		t.Errorf("%s: %d rows in the document, want those in sight", what, f.Rows)
	}
}

// cpu is the processor time of all of the browser's processes that draw pages.
func (b *browser) cpu(t *testing.T) time.Duration {
	t.Helper()
	var info struct {
		ProcessInfo []struct {
			Type    string
			CPUTime float64
		}
	}
	check.Must(t, b.call("", "SystemInfo.getProcessInfo", nil, &info))
	var seconds float64
	for _, p := range info.ProcessInfo {
		if p.Type == "renderer" {
			seconds += p.CPUTime
		}
	}
	return time.Duration(seconds * float64(time.Second))
}

// The page draws per animation frame, keeps a bounded number of messages, says how many it has dropped, and stays connected.
func TestPageFlood(t *testing.T) {
	b, serving := startBrowser(t), startServe(t)
	p := b.open(t, serving.url)
	p.call("Page.bringToFront", nil, nil)
	p.evaluate(floodScript, nil)
	flooded := func(what string, messages int, send, isDrawn string) {
		t.Helper()
		var f flood
		before := b.cpu(t)
		p.evaluate(fmt.Sprintf("flood(() => {%s}, () => %s)", send, isDrawn), &f)
		f.hold(t, what, messages, b.cpu(t)-before)
	}

	p.set("url", startBurst(t, serving.url[:len(serving.url)-1]))
	p.connect()
	total := 0
	for _, n := range []int{10_000, 90_000} {
		p.set("message", strconv.Itoa(n))
		total += n
		flooded(fmt.Sprintf("%d messages from a server", n), n, `document.getElementById("send-text").click()`,
			fmt.Sprintf(`number("received-count") === %d && lastRow().startsWith("message %d of %d")`, total, n, n))
		p.screenshot(fmt.Sprintf("flood-%d.png", n))
	}
	p.until(state("state", "open"))
	// 100,000 received, 2 sent and 1 event.
	p.until(`document.getElementById("kept").dataset.kept === "50000" && document.getElementById("kept").dataset.dropped === "50003"`)
	p.until(`document.getElementById("kept").textContent === "newest 50,000 kept, 50,003 dropped"`)

	// The end is followed until the user scrolls; then the rows in sight stay.
	p.evaluate(`new Promise((done) => {
		const scroller = document.getElementById("log-scroll");
		scroller.addEventListener("scroll", () => requestAnimationFrame(() => requestAnimationFrame(done)), { once: true });
		scroller.scrollTop = 100000;
	})`, nil)
	var before, after string
	const middle = `document.elementsFromPoint(800, 400).find((e) => e.matches("li"))?.dataset.seq ?? "none"`
	p.evaluate(middle, &before)
	p.set("message", "1000")
	flooded("1000 messages while reading older ones", 1000, `document.getElementById("send-text").click()`, fmt.Sprintf(`number("received-count") === %d`, total+1000))
	p.evaluate(middle, &after)
	if before == "none" || before != after {
		t.Errorf("row %s was in sight, and after further messages row %s", before, after)
	}
	p.click("jump")
	p.until(`lastRow().startsWith("message 1000 of 1000")`)

	// A filter finds the few among the many.
	p.set("filter", "/^message 77[0-9]{3} of/")
	p.until(`/, 1,000 shown$/.test(document.getElementById("kept").textContent) && lastRow().startsWith("message 77999 ")`)
	p.screenshot("filter.png")
	p.set("filter", "")
	p.click("clear")
	p.until(`document.getElementById("kept").dataset.kept === "0" && !document.querySelector("#log li")`)
	p.click("disconnect")
	p.until(state("state", "closed"))

	p.set("url", serving.url[:len(serving.url)-1]+"/echo")
	p.evaluate(`document.getElementById("url").value = document.getElementById("url").value.replace("http", "ws")`, nil)
	p.connect()
	p.set("times", "10000")
	p.set("message", "Hello, hello")
	flooded("10000 echoes", 20_000, `document.getElementById("send-text").click()`, `number("sent-count") === 10000 && number("received-count") === 10000 && lastRow() === "Hello, hello"`)
	p.until(`document.querySelectorAll("#log li[data-dir=in]").length > 0 && !document.querySelector("#log li[data-dir=in]:not([data-rtt])")`)
}

// startBurst serves connections that are sent as many messages as the client's message says.
func startBurst(t *testing.T, origins ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	listenDirectly(t, &server.Server{Origins: origins, MaxBacklog: 64 << 20, Handler: server.Handler{
		Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
			n, err := strconv.Atoi(string(p))
			check.OKf(t, err, "message %q", p)
			for i := 1; i <= n; i++ {
				check.OK(t, c.Sendf("message %d of %d, with some text behind it", i, n))
			}
		},
	}}, ln)
	return "ws://" + ln.Addr().String() + "/"
}
