// Package report tells what a conformance run found: as files that existing tools read and people
// like to read (WriteDir), as a table on a terminal (WriteTable), and as differences to what was expected (Expectation).
//
// Everything a peer can choose (its name, its heads, its reasons and payloads) is data here: escaped in HTML, quoted on a
// terminal, and never part of a file's name but by the letters and digits that FileBase leaves of it.
package report
