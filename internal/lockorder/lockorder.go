// Package lockorder has a type for each lock that may be held while another one is
// locked, in the order in which they are locked:
//
//	Handlers    a connection's handlers, on the goroutine loop
//	Topics      the subscriptions to the topics of a server.Topics
//	ConnTopics  the subscriptions of a connection
//	Fragments   the message that is being sent in fragments
//	Sender      the endpoint's output: a frame, and the state of the closing handshake
//	Socket      the socket's state and write buffer
//	SendQueue   the messages that wait for the socket
//
// A goroutine that holds one of them locks only those below it, of whichever
// connection. With the build tag lockcheck, Lock panics in any other case; without
// it, the types are sync.Mutex.
package lockorder
