package conform

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	recordsSize = 194056
	novelSize   = 222218
	htmlSize    = 263647
)

// makeRecords makes a JSON text: an array of objects, one like the other.
func makeRecords() []byte {
	const end = "\n]\n"
	w := newWords(1)
	var b, record bytes.Buffer
	b.WriteString("[")
	for i := 0; ; i++ {
		record.Reset()
		if i > 0 {
			record.WriteString(",")
		}
		w.record(&record, i)
		if b.Len()+record.Len()+200 > recordsSize {
			break
		}
		b.Write(record.Bytes())
	}
	const last = ",\n  {\"remark\": \"%s\"}"
	n := recordsSize - b.Len() - len(end) - len(fmt.Sprintf(last, ""))
	fmt.Fprintf(&b, last, w.filler(n))
	b.WriteString(end)
	return b.Bytes()
}

// record writes an object like a record of a person.
func (w *words) record(b *bytes.Buffer, i int) {
	first, last := w.name(), w.name()
	company := strings.ToUpper(w.name())
	fmt.Fprintf(b, "\n  {\n    \"id\": %d,\n    \"key\": \"%08x\",\n    \"active\": %t,\n", i, w.r.Uint32(), w.r.IntN(3) > 0)
	fmt.Fprintf(b, "    \"balance\": \"%d.%02d EUR\",\n    \"age\": %d,\n    \"role\": \"%s\",\n", w.r.IntN(9000), w.r.IntN(100), 18+w.r.IntN(60), w.pick("keeper pilot mate cook owner guest"))
	fmt.Fprintf(b, "    \"name\": {\n      \"first\": \"%s\",\n      \"last\": \"%s\"\n    },\n    \"company\": \"%s\",\n", first, last, company)
	fmt.Fprintf(b, "    \"email\": \"%s.%s@%s.example\",\n", strings.ToLower(first), strings.ToLower(last), strings.ToLower(company))
	fmt.Fprintf(b, "    \"address\": \"%d %s %s, %s, %s\",\n", 1+w.r.IntN(999), w.name(), w.pick("Lane Street Road Quay Square"), w.name(), w.pick("Northshire Westmark Eastholm Southwold"))
	fmt.Fprintf(b, "    \"registered\": \"20%02d-%02d-%02dT%02d:%02d:%02dZ\",\n", w.r.IntN(25), 1+w.r.IntN(12), 1+w.r.IntN(28), w.r.IntN(24), w.r.IntN(60), w.r.IntN(60))
	fmt.Fprintf(b, "    \"latitude\": %d.%06d,\n    \"longitude\": %d.%06d,\n", w.r.IntN(180)-90, w.r.IntN(1e6), w.r.IntN(360)-180, w.r.IntN(1e6))
	b.WriteString("    \"tags\": [")
	for i := range 7 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n      \"%s\"", w.word())
	}
	b.WriteString("\n    ],\n    \"friends\": [")
	for i := range 3 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n      {\n        \"id\": %d,\n        \"name\": \"%s %s\"\n      }", i, w.name(), w.name())
	}
	fmt.Fprintf(b, "\n    ],\n    \"greeting\": \"Hello, %s! You have %d unread messages.\",\n    \"favourite\": \"%s\"\n  }", first, w.r.IntN(20), w.pick("apple banana cherry"))
}

// makeNovel makes prose, in lines of up to 72 bytes.
func makeNovel() []byte {
	w := newWords(2)
	var b bytes.Buffer
	for chapter := 1; b.Len() < novelSize; chapter++ {
		fmt.Fprintf(&b, "\n\nCHAPTER %d\n\n%s %s\n", chapter, w.name(), w.name())
		for range 12 + w.r.IntN(12) {
			b.WriteString("\n")
			p := w.paragraph(1 + w.r.IntN(8))
			if w.r.IntN(4) == 0 {
				p = fmt.Sprintf("\"%s\" said %s. %s", w.sentence(), w.pick("Orla Finn Maren Tobias Ines"), p)
			}
			writeLines(&b, p)
		}
	}
	return append(b.Bytes()[:novelSize-1], '\n')
}

// writeLines writes s in lines of up to 72 bytes.
func writeLines(b *bytes.Buffer, s string) {
	for len(s) > 72 {
		end := strings.LastIndexByte(s[:73], ' ')
		b.WriteString(s[:end])
		b.WriteByte('\n')
		s = s[end+1:]
	}
	b.WriteString(s)
	b.WriteByte('\n')
}

// wideWords are the words of the page that are not ASCII: 19 characters, in 27
// bytes more.
var wideWords = [...]string{
	"caf\u00e9", "na\u00efve", "\u2020", "\u00dcbung", "fa\u00e7ade", "\u20ac", "\u00c5land", "se\u00f1or", "\u2192", "sm\u00f8r",
	"\u03c0", "\u4e16", "\u0436", "cr\u00e8me", "\u2026", "\u00e6on", "\u754c", "\u00fe", "\U0001f427",
}

// makeHTML makes a page: sections with headings, paragraphs, links, lists and
// tables.
func makeHTML() []byte {
	const end = "</p>\n</div>\n</body>\n</html>\n"
	w := newWords(3)
	var b, section bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<title>Catalogue</title>\n" +
		"<link rel=\"stylesheet\" type=\"text/css\" href=\"style/catalogue.css\"/>\n</head>\n<body>\n")
	written := 0 // of wideWords
	for i := 1; ; i++ {
		section.Reset()
		wide := ""
		if n := written; n < len(wideWords) && b.Len() >= (n+1)*12000 {
			wide = wideWords[n]
			written++
		}
		w.section(&section, i, wide)
		if b.Len()+section.Len()+200 > htmlSize {
			break
		}
		b.Write(section.Bytes())
	}
	b.WriteString("<div class=\"section\" id=\"last\">\n<p class=\"text\">")
	b.WriteString(w.filler(htmlSize - b.Len() - len(end)))
	b.WriteString(end)
	return b.Bytes()
}

// section writes a section of the page with the word wide.
func (w *words) section(b *bytes.Buffer, i int, wide string) {
	fmt.Fprintf(b, "<div class=\"section\" id=\"s%d\">\n<h2 class=\"title\">%d. %s %s</h2>\n", i, i, w.name(), w.word())
	fmt.Fprintf(b, "<p class=\"text\">%s <em>%s</em></p>\n", w.paragraph(2), wide)
	fmt.Fprintf(b, "<p class=\"text\">%s <a class=\"reference\" href=\"#s%d\">%s</a></p>\n", w.paragraph(1), 1+w.r.IntN(i), w.word())
	if w.r.IntN(2) == 0 {
		b.WriteString("<ul class=\"list\">\n")
		for range 2 + w.r.IntN(6) {
			fmt.Fprintf(b, "<li class=\"item\"><a class=\"reference\" href=\"items/%s.html\">%s %s</a></li>\n", w.word(), w.name(), w.word())
		}
		b.WriteString("</ul>\n")
	} else {
		b.WriteString("<table class=\"prices\">\n<tbody>\n")
		for range 2 + w.r.IntN(5) {
			fmt.Fprintf(b, "<tr class=\"row\"><td class=\"name\">%s</td><td class=\"number\">%d</td><td class=\"number\">%d.%02d</td></tr>\n", w.word(), w.r.IntN(1000), w.r.IntN(100), w.r.IntN(100))
		}
		b.WriteString("</tbody>\n</table>\n")
	}
	b.WriteString("</div>\n")
}
