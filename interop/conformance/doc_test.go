// Package conformance runs the judge of fibersock conform against every peer,
// and compares the verdicts with the JSON files in this folder, one for each
// peer and role, in the format of the judge's index.json.
//
//	go test ./conformance                       a quick selection of the cases
//	go test ./conformance -full -timeout 0      all of them; some peers take half an hour
//	go test ./conformance -full -update         and update the files here and docs/conformance-peers.md
//
// -run 'TestVerdicts/gorilla/server' selects one of them.
package conformance
