package netloop

// This file implements the end of a socket, for both loops: its states, its
// events, and one table with the transition for each event in each state.
//
//	                 input       output
//	open             read        written
//	inputEnded       discarded   written, until all input is answered
//	inputClosed      EOF read    written, until all input is answered
//	refused          discarded   written: a blocked sender is inside a frame
//	refusedEOF       EOF read    written: a blocked sender is inside a frame
//	flushing         discarded   the write buffer, then FIN
//	flushingEOF      EOF read    the write buffer, then FIN
//	lingering        discarded   FIN sent
//	done             EOF read    written: close the descriptor
//	aborted          EOF         discarded: shut down, close the descriptor
//	closed           -           -
//
// The input of a connection with TLS ends by close_notify, and bytes may follow:
// inputEnded. They are read, because the kernel answers unread input by a reset
// when the descriptor is closed, and a reset discards output at the peer.

// endState is a state of a socket.
type endState uint8

const (
	stateOpen endState = iota + 1
	stateInputEnded
	stateInputClosed
	stateRefused
	stateRefusedEOF
	stateFlushing
	stateFlushingEOF
	stateLingering
	stateDone
	stateAborted
	stateClosed
	numStates
)

// reads reports whether input may arrive.
func (s endState) reads() bool {
	switch s {
	case stateOpen, stateInputEnded, stateRefused, stateFlushing, stateLingering, stateAborted:
		return true
	}
	return false
}

// delivers reports whether input is passed to the connection. Other input is
// discarded.
func (s endState) delivers() bool { return s == stateOpen }

// inputOver reports whether no more input is passed to the connection because
// the peer has ended it.
func (s endState) inputOver() bool { return !s.reads() || s == stateInputEnded }

// awaitsAnswers reports whether the connection ends when all input is answered.
func (s endState) awaitsAnswers() bool { return s == stateInputEnded || s == stateInputClosed }

// writes reports whether the connection may write.
func (s endState) writes() bool { return s < stateFlushing }

// endEvent is an event that a socket reacts to.
type endEvent uint8

const (
	eventBuffered   endEvent = iota // the first bytes were buffered
	eventFlushed                    // the write buffer is empty, or discarded
	eventReturned                   // a handler has returned
	eventNotReady                   // the connection is not ready for the rest of its input
	eventResume                     // the connection may be ready
	eventMissed                     // the kernel has reported an event while a handler was running
	eventReleased                   // the goroutine that missed it is done
	eventRefused                    // the connection accepts no more input
	eventCloseWrite                 // CloseWrite was called
	eventInputEnd                   // the peer sends no more, but has not closed its side
	eventEOF                        // the peer has closed its side
	eventAbort                      // Abort was called, a time limit is over, or the kernel has refused to report events
	eventClose                      // the descriptor is closed
	numEvents
)

// endAction is a set of actions, in the order in which they are done.
type endAction uint8

const (
	doFlush      endAction = 1 << iota // write the deferred output
	doShutdown                         // discard the write buffer and shut both directions down
	doCloseWrite                       // send FIN
	doUnpause                          // end the pauses of reading that are the connection's
	doLinger                           // bound the rest of the socket's life
	doArm                              // tell the kernel which events to report
	doKick                             // run the socket, if it has work that the kernel does not report
)

// transition is the effect of an event. A zero next means that the event is
// ignored.
type transition struct {
	next endState
	do   endAction
}

// endTable has the transition for each event in each state.
var endTable = [numStates][numEvents]transition{
	stateOpen: {
		eventBuffered:   {stateOpen, doArm},
		eventFlushed:    {stateOpen, doArm},
		eventReturned:   {stateOpen, doArm},
		eventNotReady:   {stateOpen, doKick},
		eventResume:     {stateOpen, doKick},
		eventMissed:     {stateOpen, doArm},
		eventReleased:   {stateOpen, doArm | doKick},
		eventRefused:    {stateRefused, doFlush | doUnpause | doLinger | doArm},
		eventCloseWrite: {stateFlushing, doFlush | doUnpause | doLinger | doArm},
		eventInputEnd:   {stateInputEnded, doFlush | doArm},
		eventEOF:        {stateInputClosed, doFlush | doArm},
		eventAbort:      {stateAborted, doShutdown | doUnpause | doArm},
		eventClose:      {stateClosed, 0},
	},
	stateInputEnded: {
		eventBuffered:   {stateInputEnded, doArm},
		eventFlushed:    {stateInputEnded, doArm},
		eventReturned:   {stateInputEnded, doKick},
		eventResume:     {stateInputEnded, doKick},
		eventMissed:     {stateInputEnded, doArm},
		eventReleased:   {stateInputEnded, doArm | doKick},
		eventRefused:    {stateRefused, doLinger},
		eventCloseWrite: {stateFlushing, doLinger},
		eventEOF:        {stateInputClosed, doArm},
		eventAbort:      {stateAborted, doShutdown | doArm},
		eventClose:      {stateClosed, 0},
	},
	stateInputClosed: {
		eventBuffered:   {stateInputClosed, doArm},
		eventFlushed:    {stateInputClosed, doArm},
		eventResume:     {stateInputClosed, doKick},
		eventReleased:   {stateInputClosed, doKick},
		eventRefused:    {stateRefusedEOF, doLinger},
		eventCloseWrite: {stateFlushingEOF, doLinger},
		eventAbort:      {stateAborted, doShutdown | doArm},
		eventClose:      {stateClosed, 0},
	},
	stateRefused: {
		eventBuffered:   {stateRefused, doArm},
		eventFlushed:    {stateRefused, doArm},
		eventMissed:     {stateRefused, doArm},
		eventReleased:   {stateRefused, doArm | doKick},
		eventCloseWrite: {stateFlushing, 0},
		eventEOF:        {stateRefusedEOF, doArm},
		eventAbort:      {stateAborted, doShutdown | doArm},
		eventClose:      {stateClosed, 0},
	},
	stateRefusedEOF: {
		eventBuffered:   {stateRefusedEOF, doArm},
		eventFlushed:    {stateRefusedEOF, doArm},
		eventReleased:   {stateRefusedEOF, doArm | doKick},
		eventCloseWrite: {stateFlushingEOF, 0},
		eventAbort:      {stateAborted, doShutdown | doArm},
		eventClose:      {stateClosed, 0},
	},
	stateFlushing: {
		eventFlushed:  {stateLingering, doCloseWrite | doArm},
		eventReturned: {stateFlushing, doLinger},
		eventMissed:   {stateFlushing, doArm},
		eventReleased: {stateFlushing, doArm | doKick},
		eventEOF:      {stateFlushingEOF, doLinger | doArm},
		eventAbort:    {stateAborted, doShutdown | doArm},
		eventClose:    {stateClosed, 0},
	},
	stateFlushingEOF: {
		eventFlushed:  {stateDone, doArm | doKick},
		eventReturned: {stateFlushingEOF, doLinger},
		eventReleased: {stateFlushingEOF, doKick},
		eventAbort:    {stateAborted, doShutdown | doArm},
		eventClose:    {stateClosed, 0},
	},
	stateLingering: {
		eventReturned: {stateLingering, doLinger},
		eventMissed:   {stateLingering, doArm},
		eventReleased: {stateLingering, doArm | doKick},
		eventEOF:      {stateDone, 0},
		eventAbort:    {stateAborted, doShutdown},
		eventClose:    {stateClosed, 0},
	},
	stateDone: {
		eventReleased: {stateDone, doKick},
		eventClose:    {stateClosed, 0},
	},
	stateAborted: {
		eventMissed:   {stateAborted, doArm},
		eventReleased: {stateAborted, doArm},
		eventClose:    {stateClosed, 0},
	},
}
