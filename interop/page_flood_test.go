package interop

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

var pageBench = flag.Bool("page-bench", false, "hold the page to its figures, which needs a machine without other load")

// Bounds of the page: 10,000 messages are drawn within drawBound, and meanwhile no timer of the page is later than stallBound.
// Without -page-bench they show only that the page is not frozen.
func drawBound() time.Duration {
	if *pageBench {
		return 1500 * time.Millisecond
	}
	return patience
}

func stallBound() time.Duration {
	if *pageBench {
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

// hold checks the figures against the bounds and returns them as text.
func (f flood) hold(t *testing.T, name string, cpu time.Duration) string {
	t.Helper()
	if f.Drawn > float64(drawBound().Milliseconds()) {
		t.Errorf("%s: drawn in %.0f ms, more than %v", name, f.Drawn, drawBound())
	}
	if f.Stall > float64(stallBound().Milliseconds()) {
		t.Errorf("%s: a timer was late by %.0f ms, more than %v", name, f.Stall, stallBound())
	}
	if f.Rows == 0 || f.Rows > 100 {
		t.Errorf("%s: %d rows in the document, want those in sight", name, f.Rows)
	}
	return fmt.Sprintf("%s: drawn in %.0f ms, timers late by %.0f ms at most, %d rows in the document, %d ms of processor time in the page's process",
		name, f.Drawn, f.Stall, f.Rows, cpu.Milliseconds())
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
	var figures []string
	flooded := func(name, send, isDrawn string) {
		t.Helper()
		var f flood
		before := b.cpu(t)
		p.evaluate(fmt.Sprintf("flood(() => {%s}, () => %s)", send, isDrawn), &f)
		figures = append(figures, f.hold(t, name, b.cpu(t)-before))
	}

	const send = `document.getElementById("send-text").click()`
	p.set("url", startBurst(t, serving.url[:len(serving.url)-1]))
	p.connect()
	p.set("message", "10000")
	total := 0
	for total < 100_000 {
		total += 10_000
		flooded(fmt.Sprintf("messages from a server up to %d", total), send,
			fmt.Sprintf(`number("received-count") === %d && lastRow().startsWith("message 10000 of 10000")`, total))
		if total == 10_000 {
			p.screenshot("flood-10000.png")
		}
	}
	p.screenshot("flood-100000.png")
	p.until(state("state", "open"))
	// 100,000 received, 10 sent and 1 event.
	p.until(`document.getElementById("kept").dataset.kept === "50000" && document.getElementById("kept").dataset.dropped === "50011"`)
	p.until(`document.getElementById("kept").textContent === "newest 50,000 kept, 50,011 dropped"`)

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
	flooded("1000 messages while reading older ones", send, fmt.Sprintf(`number("received-count") === %d`, total+1000))
	p.evaluate(middle, &after)
	if before == "none" || before != after {
		t.Errorf("row %s was in sight, and after further messages row %s", before, after)
	}
	p.click("jump")
	p.until(`lastRow().startsWith("message 1000 of 1000")`)

	// A filter finds the few among the many.
	p.set("filter", "/^message 77[0-9]{2} of/")
	p.until(`/, 500 shown$/.test(document.getElementById("kept").textContent) && lastRow().startsWith("message 7799 ")`)
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
	flooded("10000 messages sent and echoed", send, `number("sent-count") === 10000 && number("received-count") === 10000 && lastRow() === "Hello, hello"`)
	p.until(`document.querySelectorAll("#log li[data-dir=in]").length > 0 && !document.querySelector("#log li[data-dir=in]:not([data-rtt])")`)
	text := strings.Join(figures, "\n") + "\n"
	t.Log("\n" + text)
	check.Must(t, os.WriteFile("../artifacts/page-flood.txt", []byte(text), 0o666)) // the screenshots have made the folder
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
