// Rooms is a chat with rooms and a history: a page that opens later shows the
// last messages of its room.
//
//	go run ./examples/rooms
package main

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "address")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%v/", ln.Addr())
	log.Fatal(http.Serve(ln, routes(newChat(), "lobby", "go", "music")))
}

// routes returns the page and the rooms. Other rooms are 404: clients cannot
// create any.
func routes(chat *server.Server, names ...string) http.Handler {
	rooms, topics := make(map[string]*room), new(server.Topics)
	for _, name := range names {
		rooms[name] = &room{name: name, topics: topics}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.HandleFunc("GET /rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
		in := rooms[r.PathValue("room")]
		if in == nil {
			http.NotFound(w, r)
			return
		}
		httpupgrade.Upgrade(chat, w, r, &member{in, cmp.Or(r.FormValue("name"), "somebody")})
	})
	return mux
}

// A member is the value of a connection.
type member struct {
	room *room
	name string
}

// An event is a line of the log of a room.
type event struct {
	Kind string `json:"kind"` // joined, said or left
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
}

// historySize is the number of messages that a room keeps.
const historySize = 50

// A room is a topic, to which its members are subscribed, with its last
// messages, encoded.
type room struct {
	name    string
	topics  *server.Topics
	mu      sync.Mutex
	history []*server.Prepared
}

// join sends the history to a client. Under the lock no message is lost between
// the history and the subscription. Send does not wait for the client.
func (r *room) join(c *server.Conn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.history {
		c.SendPrepared(m)
	}
	return r.topics.Subscribe(c, r.name)
}

// tell sends an event to all members, and keeps it if it is a message.
func (r *room) tell(e event) {
	text, err := json.Marshal(e)
	if err != nil {
		log.Print(err)
		return
	}
	m, err := server.Prepare(wire.Text, text)
	if err != nil {
		log.Print(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind == "said" {
		if len(r.history) == historySize {
			r.history = append(r.history[:0], r.history[1:]...)
		}
		r.history = append(r.history, m)
	}
	r.topics.PublishPrepared(r.name, m)
}

// newChat returns a server whose connections have a *member as value.
func newChat() *server.Server {
	return &server.Server{
		Limits: server.Limits{Message: 4 << 10, MessagesPerSecond: 20},
		Handler: server.Handler{
			Open: func(c *server.Conn) {
				m := c.Value().(*member)
				if err := m.room.join(c); err != nil {
					log.Print(err)
				}
				m.room.tell(event{Kind: "joined", Name: m.name})
			},
			Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				m := c.Value().(*member)
				m.room.tell(event{Kind: "said", Name: m.name, Text: string(p)})
			},
			Close: func(c *server.Conn, code wire.StatusCode, reason string) {
				m := c.Value().(*member)
				m.room.tell(event{Kind: "left", Name: m.name})
			},
		},
	}
}
