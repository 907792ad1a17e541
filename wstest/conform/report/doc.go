// Package report presents the results of package conform: as files in the
// format of the Autobahn TestSuite and as HTML (WriteDir), as a table on a
// terminal (WriteTable), and as differences to expected verdicts (Expectation).
//
// All text of a peer (its name, heads, reasons and payloads) is escaped in HTML
// and quoted on a terminal. The name of a file contains only the letters and
// digits that FileBase returns.
package report
