// Package conform judges implementations of WebSocket from outside, by the cases of the Autobahn TestSuite: the same 517 ids,
// inputs, timings and verdicts, written anew.
//
// It shares no code with what it judges. It has its own small frame writer, which can write what no
// implementation may send, and its own checker of what comes.
package conform
