package interop

import (
	"fmt"
	"testing"
)

// TestPageModules tests functions of the page's scripts, in the browser.
func TestPageModules(t *testing.T) {
	p := startBrowser(t).open(t, startServe(t).url)
	for _, c := range []struct{ name, script string }{
		{"a log keeps a number of entries", `
			const { Log } = await load("log.js");
			const log = new Log(100, 1000);
			for (let i = 0; i < 5000; i++) log.add({ n: i });
			equal(log.kept, 100);
			equal(log.added, 5000);
			equal(log.at(0).n, 4900);
			equal(log.at(99).seq, 4999);
			equal(log.indexOf(4950), 50);
			equal(log.indexOf(1), 0);
			equal(log.indexOf(5000), 100);
			equal(log.all().map((e) => e.n).join(), Array.from({ length: 100 }, (_, i) => 4900 + i).join());
			log.clear();
			equal(log.size, 0);
			log.add({ n: 1 });
			equal(log.at(0).seq, 5000);`},
		{"a log keeps a number of bytes", `
			const { Log } = await load("log.js");
			const log = new Log(100, 1000);
			for (let i = 0; i < 10; i++) log.add({ size: 300 });
			equal(log.kept, 3);
			log.add({ size: 5000 });
			equal(log.kept, 1);
			equal(log.at(0).size, 5000);
			log.add({});
			equal(log.kept, 1);
			log.add({ size: 1000 });
			equal(log.kept, 2);`},
		{"a filter follows the log", `
			const { Log } = await load("log.js");
			const log = new Log(100, 1000);
			const even = (e) => e.n % 2 === 0;
			for (let i = 0; i < 100; i++) log.add({ n: i });
			log.setFilter(even);
			equal(log.work(-1), false); // no time: one part
			equal(log.size, 32);
			equal(log.work(Infinity), true);
			equal(log.size, 50);
			for (let i = 100; i < 131; i++) log.add({ n: i });
			log.work(Infinity);
			equal(log.size, 50);
			equal(log.at(0).n, 32);
			equal(log.indexOf(33), 1);
			for (let i = 131; i < 500; i++) log.add({ n: i });
			log.work(Infinity);
			equal(log.at(0).n, 400);
			equal(log.size, 50);
			log.setFilter(null);
			equal(log.size, 100);
			log.setFilter(even);
			log.clear();
			log.work(Infinity);
			equal(log.size, 0);`},
		{"an echo is the oldest equal message", `
			const { Echoes } = await load("echoes.js");
			const echoes = new Echoes();
			const bytes = (...b) => new Uint8Array(b);
			equal(echoes.received("a", 1).rtt, undefined);
			for (const [i, m] of ["a", "b", "a", bytes(1, 2), bytes(1, 3), "c"].entries()) echoes.sent(m, i);
			equal(echoes.received("x", 10).rtt, undefined);
			equal(echoes.received("a", 10).rtt, 10);
			equal(echoes.received("a", 10).rtt, 8); // "b" was not answered
			equal(echoes.received("b", 10).rtt, undefined);
			equal(echoes.received(bytes(1, 4), 10).difference, 1);
			equal(echoes.received(bytes(1, 3), 10).rtt, 6);
			equal(echoes.received("c", 10).rtt, 5);
			equal(echoes.received("c", 10).rtt, undefined);
			for (let i = 0; i < 50000; i++) echoes.sent("same", i);
			equal(echoes.received("same", 50000).rtt, 20000); // the others are forgotten
			for (let i = 30001; i < 50000; i++) equal(echoes.received("same", 50000).rtt, 50000 - i);
			equal(echoes.received("same", 50000).rtt, undefined);
			const large = "x".repeat(40 << 20);
			echoes.sent("first", 0);
			echoes.sent(large, 0);
			echoes.sent(large, 1);
			equal(echoes.received("first", 2).rtt, undefined);
			equal(echoes.received(large, 2).rtt, 1);`},
		{"JSON keeps its numbers", `
			const { parseJSON, jsonTree } = await load("json.js");
			equal(parseJSON("1"), null);
			equal(parseJSON("[1"), null);
			equal(parseJSON(" [" + "1,".repeat(3 << 20) + "1]"), null); // too long
			const tree = jsonTree(parseJSON('[1, 1.0, 1e400, 12345678901234567890, -0, {"__proto__": 1}]').value);
			equal([...tree.querySelectorAll(".json-number")].map((e) => e.textContent).join(), "1,1.0,1e400,12345678901234567890,-0");
			const long = jsonTree(parseJSON(JSON.stringify(["é".repeat(3000)])).value);
			equal(long.querySelector("bdi").textContent.length, 2002);
			long.querySelector("button").click();
			equal(long.querySelector("bdi").textContent.length, 3002);`},
		{"text for people", `
			const { base64, clock, formatMilliseconds, formatSize, hexDump, preview } = await load("format.js");
			equal(formatSize(1023), "1023 B");
			equal(formatSize(1024), "1 KiB");
			equal(formatSize(1536), "1.5 KiB");
			equal(formatSize(3 << 30 >>> 0), "3 GiB");
			equal(formatMilliseconds(1.234), "1.23 ms");
			equal(formatMilliseconds(12345), "12.3 s");
			equal(preview("a\nb\tc\rd", 100), "a⏎b⇥cd");
			equal(preview("abc", 2), "ab…");
			equal(hexDump(new TextEncoder().encode("0123456789abcdefé"), 100), "000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n000010  c3 a9                                            ..");
			equal(base64(new Uint8Array(100000)), btoa("\0".repeat(100000)));
			equal(clock(new Date(2026, 0, 1, 2, 3, 4, 5), true), "02:03:04.005");`},
		{"draws are once per frame", `
			const { perFrame } = await load("frame.js");
			let draws = 0;
			const draw = perFrame(() => draws++);
			for (let i = 0; i < 1000; i++) draw();
			equal(draws, 0);
			await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
			equal(draws, 1);
			draw();
			await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
			equal(draws, 2);`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := p.in(t)
			p.call("Page.bringToFront", nil, nil)
			p.evaluate(fmt.Sprintf(`(async () => {
				const load = (name) => import(new URL(name, location.href));
				let checks = 0;
				const equal = (got, want) => {
					checks++;
					if (!Object.is(got, want)) throw new Error("check " + checks + ": got " + JSON.stringify(got) + ", want " + JSON.stringify(want));
				};
				%s
				if (checks === 0) throw new Error("no checks");
			})()`, c.script), nil)
		})
	}
}
