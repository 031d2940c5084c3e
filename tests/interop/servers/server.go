// What README.md says, by gorilla/websocket.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const controlLimit = 10 * time.Second

// How connections ended. Those that are open are counted.
var (
	mutex     sync.Mutex
	changed   = sync.NewCond(&mutex)
	open      int
	lastClose string
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s\n", listener.Addr())
	log.Fatal(http.Serve(counting{listener}, http.HandlerFunc(serve)))
}

// Accepts connections that count bytes.
type counting struct{ net.Listener }

type counted struct {
	net.Conn
	received, sent int
}

func (l counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &counted{Conn: conn}, err
}

func (c *counted) Read(bytes []byte) (int, error) {
	n, err := c.Conn.Read(bytes)
	c.received += n
	return n, err
}

func (c *counted) Write(bytes []byte) (int, error) {
	n, err := c.Conn.Write(bytes)
	c.sent += n
	return n, err
}

func serve(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch name {
	case "":
		talk(w, r, 0, oblige)
	case "echo":
		talk(w, r, 0, (*client).WriteMessage)
	case "counted":
		talk(w, r, 0, count)
	case "fragments":
		size, _ := strconv.Atoi(rest)
		talk(w, r, size, func(c *client, kind int, data []byte) error {
			return sendFragments(c, kind, data, size)
		})
	case "private":
		if user, password, _ := r.BasicAuth(); user == "wsloop" && password == "open sesame" {
			talk(w, r, 0, oblige)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="interop"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case "redirect":
		location := "/echo"
		if rest == "away" {
			_, port, _ := net.SplitHostPort(r.Host)
			location = "ws://localhost:" + port + "/"
		}
		http.Redirect(w, r, location, http.StatusFound)
	case "refuse":
		status, _ := strconv.Atoi(rest)
		http.Error(w, "refused with "+rest, status)
	default:
		http.NotFound(w, r)
	}
}

// A client is a connection, with what its opening handshake said.
type client struct {
	*websocket.Conn
	fields http.Header
	// What we closed it with, if we did.
	closedWith string
}

// Upgrades, with a buffer of a size that is also that of fragments: the library sends it as one when
// it is full and there is more. Gives every message to `receive`.
func talk(w http.ResponseWriter, r *http.Request, size int, receive func(*client, int, []byte) error) {
	upgrader := websocket.Upgrader{
		WriteBufferSize:   size,
		Subprotocols:      []string{"chat.v2", "chat.v1"},
		EnableCompression: true,
	}
	fields := http.Header{"X-Interop": {"gorilla"}, "Set-Cookie": {"session=31d4d96e"}}
	conn, err := upgrader.Upgrade(w, r, fields)
	if err != nil {
		return
	}
	r.Header.Set("Host", r.Host)
	c := &client{Conn: conn, fields: r.Header}
	note(1, "")
	kind, data, err := c.ReadMessage()
	for ; err == nil; kind, data, err = c.ReadMessage() {
		if receive(c, kind, data) != nil {
			break
		}
	}
	c.Close()
	note(-1, c.howClosed(err))
}

// Says how the closing handshake began, or nothing if there was none.
func (c *client) howClosed(err error) string {
	var closed *websocket.CloseError
	switch {
	case !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormalClosure:
		return ""
	case c.closedWith != "":
		return "server " + c.closedWith
	default:
		return fmt.Sprintf("client %d %s", closed.Code, closed.Text)
	}
}

func note(more int, how string) {
	mutex.Lock()
	defer mutex.Unlock()
	open += more
	if how != "" {
		lastClose = how
	}
	changed.Broadcast()
}

func sendFragments(c *client, kind int, data []byte, size int) error {
	writer, err := c.NextWriter(kind)
	for err == nil && len(data) > size {
		if _, err = writer.Write(data[:size]); err == nil {
			err = c.WriteControl(websocket.PingMessage, []byte("between"), time.Now().Add(controlLimit))
		}
		data = data[size:]
	}
	if err != nil {
		return err
	}
	if _, err := writer.Write(data); err != nil {
		return err
	}
	return writer.Close()
}

func count(c *client, kind int, data []byte) error {
	if string(data) != "bytes" {
		return c.WriteMessage(kind, data)
	}
	tcp := c.UnderlyingConn().(*counted)
	return c.say(fmt.Sprint("gorilla ", tcp.received, " ", tcp.sent))
}

func oblige(c *client, _ int, data []byte) error {
	verb, rest, _ := strings.Cut(string(data), " ")
	switch verb {
	case "field":
		return c.say(strings.Join(c.fields.Values(rest), ", "))
	case "ping":
		c.SetPongHandler(func(payload string) error { return c.say("pong " + payload) })
		return c.WriteControl(websocket.PingMessage, []byte(rest), time.Now().Add(controlLimit))
	case "close":
		c.closedWith = rest
		code, reason, _ := strings.Cut(rest, " ")
		number, _ := strconv.Atoi(code)
		return c.close(number, reason)
	case "last":
		mutex.Lock()
		for open > 1 {
			changed.Wait()
		}
		how := lastClose
		mutex.Unlock()
		return c.say(how)
	default:
		return c.close(websocket.CloseUnsupportedData, "no such request")
	}
}

func (c *client) say(text string) error {
	return c.WriteMessage(websocket.TextMessage, []byte(text))
}

func (c *client) close(code int, reason string) error {
	payload := websocket.FormatCloseMessage(code, reason)
	return c.WriteControl(websocket.CloseMessage, payload, time.Now().Add(controlLimit))
}
