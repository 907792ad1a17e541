package interop

import (
	"bytes"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The report of `fibersock conform` in a browser: all cases without 9.*,
// against `fibersock serve`. The test uses the page's own script: search,
// select a verdict, open a case and the next one.
func TestConformanceReport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report")
	v := visit{startBrowser(t), startServe(t)}
	conform := exec.Command(v.binary, "conform", "server", "ws"+strings.TrimPrefix(v.url, "http")+"echo", "-agent", "fibersock <serve>", "-exclude", "9.*,12.*,13.*", "-patience", "10", "-out", out)
	var stderr bytes.Buffer
	conform.Stderr = &stderr
	if table, err := conform.Output(); err != nil {
		t.Fatalf("%v\n%s%s", err, table, &stderr)
	}

	p := v.browser.open(t, (&url.URL{Scheme: "file", Path: filepath.ToSlash(out) + "/index.html"}).String())
	p.until(`document.querySelector("h1").textContent === "fibersock <serve>"`)
	p.until(`document.querySelectorAll("tr[data-v]:not([hidden])").length === 247`)
	p.until(`document.querySelectorAll("tr[data-v]:not([hidden]) .ok").length > 240`)
	p.screenshot("conformance.png")

	p.set("search", "surrogate")
	p.until(`document.getElementById("shown").textContent.includes("of 247")`)
	p.set("search", "")
	p.evaluate(`document.querySelector('.chips button[value="informational"]').click()`, nil)
	p.until(`document.querySelectorAll("tr[data-v]:not([hidden])").length === 3`)
	p.screenshot("conformance-filtered.png")

	p.follow(`[...document.querySelectorAll("tr[data-v] a")].find((a) => a.href.endsWith("_case_6_4_3.html"))`)
	p.until(`document.querySelector("h1").textContent === "Case 6.4.3" && document.body.innerText.includes("1007")`)
	p.screenshot("conformance-case.png")
	p.follow(`[...document.querySelectorAll("a")].find((a) => a.textContent.includes("6.4.4"))`)
	p.until(`document.querySelector("h1").textContent === "Case 6.4.4"`)
}
