package main

import (
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// chatSubprotocol is that of the page. Its clients get JSON:
//
//	{"type":"welcome","id":3,"messages":[…]}       first: the client's number, and the latest messages
//	{"type":"message","id":3,"name":"Ada","at":…,"text":"…"}
//	{"type":"people","people":[{"id":3,"name":"Ada"}],"others":1}   when somebody joins or leaves
//
// They send text, and give their name in the query: ?name=Ada. A message of
// a client without the subprotocol has the id 0. Such a client gets the
// messages as they were sent, with "Ada: " before those of the page.
const chatSubprotocol = "fibersock-chat"

const (
	maxChatHistory = 100
	maxChatText    = 4096 // bytes of a message in the history
	maxChatName    = 40   // characters
	maxChatBinary  = 24   // bytes shown of a binary message
	maxChatPeople  = 100  // names in a list
	peopleDelay    = 50 * time.Millisecond
)

// chatRoom sends every message to all clients of a server, and to those of the
// page the names of the others and the latest messages.
type chatRoom struct {
	log *slog.Logger

	mu      sync.Mutex // also held while sending: all clients get the same order
	members map[*server.Conn]*chatMember
	lastID  int
	history []chatMessage
	pending bool // a list of the people will be sent
}

// chatMember is a client. One without the page's subprotocol has the id 0.
type chatMember struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

type chatMessage struct {
	Type string `json:"type"` // message
	chatMember
	At   int64  `json:"at"` // milliseconds since 1970
	Text string `json:"text"`
}

type chatWelcome struct {
	Type     string        `json:"type"` // welcome
	ID       int           `json:"id"`
	Messages []chatMessage `json:"messages"`
}

type chatPeople struct {
	Type   string       `json:"type"` // people
	People []chatMember `json:"people"`
	Others int          `json:"others"` // clients without a name, or over the limit
}

// newChatRoom makes s the server of a chat.
func newChatRoom(s *server.Server, log *slog.Logger) *chatRoom {
	r := &chatRoom{log: log, members: make(map[*server.Conn]*chatMember), history: []chatMessage{}}
	s.Subprotocols = append([]string{chatSubprotocol}, s.Subprotocols...)
	opened, closed := s.Handler.Open, s.Handler.Close
	s.Handler.Open = func(c *server.Conn) {
		opened(c)
		r.join(c)
	}
	s.Handler.Message = r.message
	s.Handler.Close = func(c *server.Conn, code wire.StatusCode, reason string) {
		r.leave(c)
		closed(c, code, reason)
	}
	return r
}

func (r *chatRoom) join(c *server.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := new(chatMember)
	if c.Subprotocol() == chatSubprotocol {
		r.lastID++
		*m = chatMember{r.lastID, chatName(c.Query())}
		c.SendJSON(chatWelcome{"welcome", m.ID, r.history}) // an error is reported to Error and Close
	}
	r.members[c] = m
	r.peopleChanged()
}

// chatName returns the name in a query, at most maxChatName characters.
func chatName(query string) string {
	values, _ := url.ParseQuery(query) // without the malformed parts
	name := []rune(values.Get("name"))
	if len(name) == 0 {
		return "somebody"
	}
	return string(name[:min(len(name), maxChatName)])
}

func (r *chatRoom) leave(c *server.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, c)
	r.peopleChanged()
}

func (r *chatRoom) message(c *server.Conn, op wire.Opcode, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.members[c]
	m := chatMessage{Type: "message", chatMember: *from, At: time.Now().UnixMilli(), Text: string(p)}
	plain := p
	switch {
	case op == wire.Binary:
		m.Text = "binary: " + hex.EncodeToString(p[:min(len(p), maxChatBinary)])
		if len(p) > maxChatBinary {
			m.Text += "…"
		}
	case from.ID > 0:
		plain = []byte(from.Name + ": " + m.Text)
	}
	if len(m.Text) <= maxChatText {
		r.history = append(r.history, m)
		r.history = r.history[max(0, len(r.history)-maxChatHistory):]
	}
	r.sendAll(op, plain, m)
}

// sendAll sends plain to the clients without the page's subprotocol, and v as
// JSON to the others. A nil plain is not sent. The caller holds r.mu.
func (r *chatRoom) sendAll(op wire.Opcode, plain []byte, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: fibersock: " + err.Error()) // the types have no other values
	}
	forPage, err := server.Prepare(wire.Text, text)
	forOthers := forPage
	if err == nil && plain != nil {
		forOthers, err = server.Prepare(op, plain)
	}
	if err != nil {
		r.log.Warn("chat", "error", err)
		return
	}
	for c, m := range r.members {
		switch {
		case m.ID > 0:
			c.SendPrepared(forPage)
		case plain != nil:
			c.SendPrepared(forOthers)
		}
	}
}

// peopleChanged sends the list of the people soon: once if many join together.
// The caller holds r.mu.
func (r *chatRoom) peopleChanged() {
	if r.pending {
		return
	}
	r.pending = true
	time.AfterFunc(peopleDelay, r.sendPeople)
}

func (r *chatRoom) sendPeople() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = false
	list := chatPeople{Type: "people"}
	for _, m := range r.members {
		if m.ID > 0 && len(list.People) < maxChatPeople {
			list.People = append(list.People, *m)
		}
	}
	list.Others = len(r.members) - len(list.People)
	r.sendAll(wire.Text, nil, list)
}
