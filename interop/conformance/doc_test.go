// Package conformance has no code of its own but tests: they run the judge of fibersock conform against every peer, and compare with the
// verdicts that are committed in the JSON files here, one for each peer and role, in the format of the judge's own index.json.
//
//	go test ./conformance                       a quick selection of the cases
//	go test ./conformance -full -timeout 0      all of them; some peers take half an hour
//	go test ./conformance -full -update         and writes the files here and docs/conformance-peers.md anew
//
// -run 'TestVerdicts/gorilla/server' picks one of them.
package conformance
