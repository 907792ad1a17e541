// Session authenticates the page of a browser by a session cookie. Signing out
// in one tab closes the connections of all tabs.
//
//	go run ./examples/session
package main

import (
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"flag"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "address")
	password := flag.String("password", rand.Text(), "password of all users")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%v/", ln.Addr())
	log.Printf("The password is %s", *password)
	log.Fatal(http.Serve(ln, newSite(*password).routes()))
}

// signedOut is the code of the Close when a session ends. 4000 to 4999 are for
// applications.
const signedOut wire.StatusCode = 4001

// A site has users who have signed in.
type site struct {
	password string
	server   *server.Server

	mu    sync.Mutex
	users map[string]string // by the value of the session cookie
}

func newSite(password string) *site {
	s := &site{password: password, users: make(map[string]string)}
	s.server = &server.Server{
		MaxLifetime: time.Hour, // then the page connects again, and the session is checked again
		Handler: server.Handler{
			Open: func(c *server.Conn) {
				v := c.Value().(visitor)
				if _, found := s.user(v.session); !found { // the user has signed out during the handshake
					c.Close(signedOut, "signed out")
					return
				}
				c.Sendf("Hello, %s.", v.name)
			},
			Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
		},
	}
	return s
}

// A visitor is the value of a connection.
type visitor struct{ session, name string }

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-out", s.signOut)
	mux.HandleFunc("GET /echo", s.connect)
	return http.NewCrossOriginProtection().Handler(mux) // for POST; the server checks the origin of /echo
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.FormValue("password")), []byte(s.password)) == 0 {
		http.Error(w, "wrong password", http.StatusUnauthorized)
		return
	}
	session := rand.Text()
	s.mu.Lock()
	s.users[session] = r.FormValue("name")
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: "session", Value: session, Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
}

// visitor returns the user of the session cookie.
func (s *site) visitor(r *http.Request) (v visitor, found bool) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return v, false
	}
	name, found := s.user(cookie.Value)
	return visitor{cookie.Value, name}, found
}

func (s *site) user(session string) (name string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, found = s.users[session]
	return name, found
}

// connect refuses a request without a session before the connection is open.
func (s *site) connect(w http.ResponseWriter, r *http.Request) {
	v, found := s.visitor(r)
	if !found {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	httpupgrade.Upgrade(s.server, w, r, v)
}

// signOut ends the session, and then its connections.
func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	v, found := s.visitor(r)
	if !found {
		return
	}
	s.mu.Lock()
	delete(s.users, v.session)
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Path: "/", MaxAge: -1})
	for c := range s.server.Conns() {
		if c.Value() == v {
			c.Close(signedOut, "signed out")
		}
	}
}
