package conform

import "strings"

// sections are the sections of the RFCs, by the prefix of the case's id. The
// longest prefix counts.
var sections = map[string]string{
	"1.":    "RFC 6455, 5.2 and 5.6",
	"2.":    "RFC 6455, 5.5.2 and 5.5.3",
	"2.5":   "RFC 6455, 5.5",
	"2.7":   "RFC 6455, 5.5.3",
	"2.8":   "RFC 6455, 5.5.3",
	"3.":    "RFC 6455, 5.2",
	"4.":    "RFC 6455, 5.2",
	"5.":    "RFC 6455, 5.4",
	"5.1":   "RFC 6455, 5.5",
	"5.2":   "RFC 6455, 5.5",
	"5.6":   "RFC 6455, 5.4 and 5.5.2",
	"5.7":   "RFC 6455, 5.4 and 5.5.2",
	"5.8":   "RFC 6455, 5.4 and 5.5.2",
	"5.19":  "RFC 6455, 5.4 and 5.5.2",
	"5.20":  "RFC 6455, 5.4 and 5.5.2",
	"6.":    "RFC 6455, 8.1, and RFC 3629",
	"6.1.":  "RFC 6455, 5.4 and 5.6",
	"6.2.":  "RFC 6455, 5.4 and 5.6",
	"7.1.":  "RFC 6455, 5.5.1 and 7.1",
	"7.3.":  "RFC 6455, 5.5.1",
	"7.3.6": "RFC 6455, 5.5",
	"7.5.":  "RFC 6455, 5.5.1 and 8.1",
	"7.7.":  "RFC 6455, 7.4",
	"7.9.":  "RFC 6455, 7.4",
	"7.13.": "RFC 6455, 7.4.2",
	"9.":    "RFC 6455, 5.2",
	"9.3.":  "RFC 6455, 5.4",
	"9.4.":  "RFC 6455, 5.4",
	"10.":   "RFC 6455, 5.4",
	"12.":   "RFC 7692, 7.2",
	"13.1.": "RFC 7692, 7.2",
	"13.2.": "RFC 7692, 7.1.1",
	"13.3.": "RFC 7692, 7.1.2",
	"13.4.": "RFC 7692, 7.1.2",
	"13.5.": "RFC 7692, 7.1.1 and 7.1.2",
	"13.6.": "RFC 7692, 7.1.1 and 7.1.2",
	"13.7.": "RFC 7692, 5.1, 7.1.1 and 7.1.2",
}

// sectionOf returns the section of the case with this id. A prefix without a
// dot at its end is an id.
func sectionOf(id string) string {
	if section, ok := sections[id]; ok {
		return section
	}
	for prefix := id; prefix != ""; {
		prefix = prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "."), '.')+1]
		if section, ok := sections[prefix]; ok {
			return section
		}
	}
	return ""
}
