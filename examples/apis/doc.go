// Package apis shows, as tests, the equivalent of each feature of four other APIs:
// stateless protocol helpers (stateless_test.go), a blocking client
// (client_test.go), named sockets (sockets_test.go), and a server with event
// handlers (eventserver_test.go) or a blocking handler for each connection
// (blockingserver_test.go). Subtests are named after the feature in the other API.
package apis
