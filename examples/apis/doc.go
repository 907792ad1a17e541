// Package apis shows, as tests, that four APIs which exist elsewhere can be had
// from this module, feature by feature: stateless protocol helpers
// (stateless_test.go), a blocking client (client_test.go), named sockets
// (sockets_test.go), and a server, by events (eventserver_test.go) or by a
// blocking handler for each connection (blockingserver_test.go). Each subtest is
// named after the feature in the words of the API that it comes from.
package apis
