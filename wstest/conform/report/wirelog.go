package report

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/fibersock/fibersock/wstest/conform"
)

// A logRow is a row of the wire log: a frame, octets, a line of text, or a gap.
type logRow struct {
	At      string // milliseconds
	Sent    bool   // by the judge; of frames and octets
	Frame   *frameView
	Octets  *payload
	Line    string // of the other kinds
	Kind    string // of a line: "timer", "note", "tcp"
	Gap     int    // the number of omitted entries
	Opening string // the first octets of Octets, in one line
}

// A frameView is a frame's header, named, and its payload.
type frameView struct {
	Bits    []bit
	Opcode  string
	Control bool
	Key     string // in hex; "" if the frame is not masked
	Status  string // the status code of a Close
	Payload payload
}

// A bit of the header.
type bit struct {
	Name string
	Set  bool
}

// newLog returns the rows of a result's wire log.
func newLog(r *conform.Result) []logRow {
	rows := make([]logRow, 0, len(r.Log)+1)
	for i, e := range r.Log {
		if r.Omitted > 0 && i == r.LogHead {
			rows = append(rows, logRow{Gap: r.Omitted})
		}
		rows = append(rows, newLogRow(e))
	}
	if r.Omitted > 0 && r.LogHead >= len(r.Log) {
		rows = append(rows, logRow{Gap: r.Omitted})
	}
	return rows
}

func newLogRow(e conform.LogEntry) logRow {
	row := logRow{At: milliseconds(e.At), Sent: e.Kind == conform.LogSent || e.Kind == conform.LogTxFrame}
	switch {
	case e.Frame != nil:
		row.Frame = newFrameView(e)
	case e.Kind == conform.LogSent || e.Kind == conform.LogReceived:
		p := newOctets(e.Data, e.Size)
		row.Octets = &p
		row.Opening = spacedHex(e.Data[:min(len(e.Data), wideHex)])
		if p.Size > wideHex {
			row.Opening += " …"
		}
	default:
		row.Line, row.Kind = plain(e.Text), string(e.Kind)
	}
	return row
}

// newOctets shows octets as hex, even if they print.
func newOctets(p []byte, size int) payload {
	v := newPayload(p, size, maxRaw, wideHex)
	v.Text, v.Hex = "", hexDump(p[:min(len(p), maxRaw)], wideHex)
	return v
}

func newFrameView(e conform.LogEntry) *frameView {
	f := e.Frame
	v := &frameView{
		Bits:    []bit{{"FIN", f.Fin}, {"RSV1", f.RSV&4 != 0}, {"RSV2", f.RSV&2 != 0}, {"RSV3", f.RSV&1 != 0}},
		Opcode:  opcodeName(f.Opcode),
		Control: f.Opcode >= 8,
	}
	if f.Masked {
		v.Key = hex.EncodeToString(f.Key[:])
	}
	data := e.Data
	v.Payload = newPayload(data, e.Size, maxFrame, wideHex)
	if f.Opcode == opcodeClose && len(data) >= 2 {
		amount := v.Payload.Amount
		v.Status = strconv.Itoa(int(binary.BigEndian.Uint16(data)))
		v.Payload = newPayload(data[2:], e.Size-2, maxFrame, wideHex)
		v.Payload.Amount = amount
	}
	return v
}

const opcodeClose = 8

// opcodeName returns the name of an opcode (RFC 6455, Section 11.8).
func opcodeName(opcode int) string {
	switch opcode {
	case 0:
		return "Continuation"
	case 1:
		return "Text"
	case 2:
		return "Binary"
	case opcodeClose:
		return "Close"
	case 9:
		return "Ping"
	case 10:
		return "Pong"
	}
	return fmt.Sprintf("opcode %d, reserved", opcode)
}

// octets returns a number of octets with the word.
func octets(n int) string {
	if n == 1 {
		return "1 octet"
	}
	return grouped(n) + " octets"
}

// milliseconds returns d in milliseconds with two decimals.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds()*1000, 'f', 2, 64)
}

// readable returns d rounded for a reader.
func readable(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d >= 10*time.Millisecond:
		return strconv.FormatFloat(d.Seconds()*1e3, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(d.Seconds()*1e3, 'f', 2, 64) + " ms"
}
