package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/server"
)

// endpointServer is a server and the path of its endpoint.
type endpointServer struct {
	path   string
	server *server.Server
}

// metrics returns the handler of /metrics: the statistics of the servers in
// the text format of Prometheus, version 0.0.4.
func metrics(endpoints []endpointServer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		var b strings.Builder
		writeMetrics(&b, endpoints)
		io.WriteString(w, b.String()) // fails only if the client has closed the connection
	})
}

// writeMetrics writes all families, each with the samples of all endpoints.
func writeMetrics(b *strings.Builder, endpoints []endpointServer) {
	stats := make([]server.Stats, len(endpoints))
	for i, e := range endpoints {
		stats[i] = e.server.Stats()
	}
	family(b, "fibersock_build_info", "gauge", "Always 1, with the version of the program.")
	sampleLine(b, "fibersock_build_info", []string{"version", buildVersion()}, 1)
	for _, f := range metricFamilies {
		family(b, f.name, f.kind, f.help)
		for i, e := range endpoints {
			for _, s := range f.samples(&stats[i]) {
				sampleLine(b, f.name, append([]string{"endpoint", e.path}, s.labels...), s.value)
			}
		}
	}
}

// family writes the lines HELP and TYPE.
func family(b *strings.Builder, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, helpEscaper.Replace(help), name, kind)
}

// sampleLine writes a sample. labels are names and values by turns.
func sampleLine(b *strings.Builder, name string, labels []string, value float64) {
	b.WriteString(name)
	separator := byte('{')
	for pair := range slices.Chunk(labels, 2) {
		b.WriteByte(separator)
		fmt.Fprintf(b, `%s="%s"`, pair[0], labelEscaper.Replace(pair[1]))
		separator = ','
	}
	b.WriteString("} " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

// The characters that the format escapes.
var (
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// metricSample is a value with its labels, names and values by turns.
type metricSample struct {
	labels []string
	value  float64
}

// metricFamily is a family of samples.
type metricFamily struct {
	name, kind, help string
	samples          func(s *server.Stats) []metricSample
}

// number is one sample without labels of its own.
func number[N int64 | uint64](value func(s *server.Stats) N) func(s *server.Stats) []metricSample {
	return func(s *server.Stats) []metricSample { return []metricSample{{value: float64(value(s))}} }
}

// labelled is one sample for each value of a label.
func labelled(label string, values ...any) []metricSample {
	var samples []metricSample
	for pair := range slices.Chunk(values, 2) {
		samples = append(samples, metricSample{[]string{label, pair[0].(string)}, float64(pair[1].(uint64))})
	}
	return samples
}

// directions is one sample for each direction.
func directions(value func(t *server.Traffic) uint64) func(s *server.Stats) []metricSample {
	return func(s *server.Stats) []metricSample {
		return labelled("direction", "received", value(&s.Received), "sent", value(&s.Sent))
	}
}

// metricFamilies has every number of server.Stats once.
var metricFamilies = []metricFamily{
	{"fibersock_handshakes_open", "gauge", "Opening handshakes in progress.", number(func(s *server.Stats) int64 { return s.Opening })},
	{"fibersock_handshakes_total", "counter", "Opening handshakes, by result.", func(s *server.Stats) []metricSample {
		return labelled("result", "accepted", s.Accepted, "refused_3xx", s.Refused.Status3xx, "refused_4xx", s.Refused.Status4xx,
			"refused_5xx", s.Refused.Status5xx, "plain_http", s.Answered, "unfinished", s.Unfinished)
	}},
	{"fibersock_connections_over_limit_total", "counter", "Connections closed without a response because of a limit on their number.", number(func(s *server.Stats) uint64 { return s.Full })},
	{"fibersock_connections_open", "gauge", "Open connections.", number(func(s *server.Stats) int64 { return s.Open })},
	{"fibersock_connections_ended_total", "counter", "Ended connections, by the way they ended.", func(s *server.Stats) []metricSample {
		return labelled("by", "client", s.Ended.ByClient, "server", s.Ended.ByServer, "failed", s.Ended.Failed, "lost", s.Ended.Lost)
	}},
	{"fibersock_messages_total", "counter", "Whole messages.", directions(func(t *server.Traffic) uint64 { return t.Messages })},
	{"fibersock_payload_bytes_total", "counter", "Payload of the messages, as on the wire.", directions(func(t *server.Traffic) uint64 { return t.Bytes })},
	{"fibersock_fragments_total", "counter", "Data frames that are a part of a message only.", directions(func(t *server.Traffic) uint64 { return t.Fragments })},
	{"fibersock_pings_total", "counter", "Ping frames.", directions(func(t *server.Traffic) uint64 { return t.Pings })},
	{"fibersock_pongs_total", "counter", "Pong frames.", directions(func(t *server.Traffic) uint64 { return t.Pongs })},
	{"fibersock_closes_total", "counter", "Close frames, by status code, counted when the connection ends.", closeSamples},
	{"fibersock_compressed_messages_total", "counter", "Compressed messages.", directions(func(t *server.Traffic) uint64 { return t.Compressed })},
	{"fibersock_compressed_wire_bytes_total", "counter", "Payload of the compressed messages, as on the wire.", directions(func(t *server.Traffic) uint64 { return t.EncodedBytes })},
	{"fibersock_compressed_plain_bytes_total", "counter", "Payload of the compressed messages, before compression.", directions(func(t *server.Traffic) uint64 { return t.DecodedBytes })},
	{"fibersock_handler_panics_total", "counter", "Panics in functions of the application.", number(func(s *server.Stats) uint64 { return s.Panics })},
	{"fibersock_handler_handoffs_total", "counter", "Handlers that blocked, so that another goroutine continued their loop.", number(func(s *server.Stats) uint64 { return s.HandOffs })},
	{"fibersock_handlers_blocked", "gauge", "Handlers that block.", number(func(s *server.Stats) int64 { return s.Blocked })},
	{"fibersock_handler_handoffs_refused_total", "counter", "Handlers that blocked their loop because too many others did.", number(func(s *server.Stats) uint64 { return s.HandOffsRefused })},
	{"fibersock_batched_sends_total", "counter", "Writes that shared a system call with others.", number(func(s *server.Stats) uint64 { return s.BatchedSends })},
	{"fibersock_backlog_bytes", "gauge", "Output buffered for clients that read too slowly.", number(func(s *server.Stats) int64 { return s.Backlog })},
	{"fibersock_backlog_peak_bytes", "gauge", "Maximum of the output buffered since the start.", number(func(s *server.Stats) uint64 { return s.BacklogPeak })},
	{"fibersock_messages_dropped_total", "counter", "Messages dropped for clients that read too slowly.", number(func(s *server.Stats) uint64 { return s.Dropped })},
	{"fibersock_slow_clients_ended_total", "counter", "Connections ended because their client read too slowly.", number(func(s *server.Stats) uint64 { return s.Cut })},
	{"fibersock_timeouts_total", "counter", "Connections that a timeout has ended, by the timeout.", func(s *server.Stats) []metricSample {
		t := &s.Timeouts
		return labelled("timeout", "handshake", t.Handshake, "write", t.Write, "close", t.Close, "pong", t.Pong, "idle", t.Idle, "assembly", t.Assembly)
	}},
}

// closeSamples are the samples of Close frames.
func closeSamples(s *server.Stats) (samples []metricSample) {
	for _, d := range []struct {
		name string
		c    *server.CloseCodes
	}{{"received", &s.Received.Closes}, {"sent", &s.Sent.Closes}} {
		c := d.c
		for _, sample := range labelled("code", "1000", c.NormalClosure, "1001", c.GoingAway, "1002", c.ProtocolError, "1003", c.UnsupportedData,
			"none", c.NoStatus, "1007", c.InvalidFramePayloadData, "1008", c.PolicyViolation, "1009", c.MessageTooBig,
			"1010", c.MandatoryExtension, "1011", c.InternalError, "1012", c.ServiceRestart, "1013", c.TryAgainLater, "1014", c.BadGateway,
			"3000-3999", c.Libraries, "4000-4999", c.Applications) {
			sample.labels = append([]string{"direction", d.name}, sample.labels...)
			samples = append(samples, sample)
		}
	}
	return samples
}
