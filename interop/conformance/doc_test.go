// Package conformance tests every peer with the judge of fibersock conform, and
// compares with the verdicts in the JSON files here, one for each peer and
// role, in the format of the judge's index.json.
//
//	go test ./conformance                       a quick selection of the cases
//	go test ./conformance -full -timeout 0      all cases; some peers take half an hour
//	go test ./conformance -full -update         and writes the files here and docs/conformance-peers.md
//
// -run 'TestVerdicts/gorilla/server' selects one of them.
package conformance
