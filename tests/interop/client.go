// The cases of cases.txt, by gorilla/websocket.
//
//	client cases ECHO OBLIGING NAME...   reports each case in a line
//	client broadcast URL                 is one of three in a room, and tells what it heard
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	caseLimit = 20 * time.Second
	text      = "wsloop: é € 😀"
)

// As long as a reason can be.
var longReason = strings.Repeat("r", 123)

// The servers' URLs.
var echo, obliging string

var cases = map[string]func(){
	"text":                func() { echoes("a", text) },
	"binary":              func() { echoes(everyByte()) },
	"empty":               func() { echoes("", []byte{}, "end") },
	"length-125":          func() { length(125) },
	"length-126":          func() { length(126) },
	"length-65535":        func() { length(65535) },
	"length-65536":        func() { length(65536) },
	"length-1048576":      func() { length(1 << 20) },
	"fragments-text":      fragmentsOfText,
	"fragments-binary":    fragmentsOfBinary,
	"fragments-with-ping": fragmentsWithPing,
	"in-order":            inOrder,
	"ping":                ping,
	"ping-from-server":    pingFromServer,
	"pong-unsolicited":    pongUnsolicited,
	"deflate-declined":    deflateDeclined,
	// It always asks for messages that are compressed by themselves, and never for a window.
	"deflate-shared":       func() { deflates("shared/15", "server 15 alone, client 15 alone") },
	"deflate-dedicated":    func() { deflates("dedicated/15", "server 15 alone, client 15 alone") },
	"deflate-window-9":     func() { deflates("dedicated/9", "server 9 alone, client 15 alone") },
	"deflate-server-alone": func() { deflates("dedicated/15", "server 15 alone, client 15 alone") },
	"deflate-client-alone": func() { deflates("dedicated/12", "server 12 alone, client 15 alone") },
	"deflate-fragments":    deflateFragments,
	"deflate-in-order":     deflateInOrder,
	"deflate-too-big":      deflateTooBig,
	"close-1000":           func() { closes(1000, "done") },
	"close-1001":           func() { closes(1001, "leaving: é") },
	"close-3000":           func() { closes(3000, "") },
	"close-4999":           func() { closes(4999, longReason) },
	"close-none":           func() { closes(websocket.CloseNoStatusReceived, "") },
	"closed-1000":          func() { isClosed(1000, "done") },
	"closed-1001":          func() { isClosed(1001, "leaving: é") },
	"closed-3000":          func() { isClosed(3000, "") },
	"closed-4999":          func() { isClosed(4999, longReason) },
	"too-big":              tooBig,
	"subprotocol-chosen":   subprotocolChosen,
	"subprotocol-none":     subprotocolNone,
	"fields":               fields,
	"origin-refused":       func() { isRefused(echo, "http://elsewhere.example", 403) },
	"origin-same":          originSame,
	"not-found":            func() { isRefused(obliging+"/nowhere", "", 404) },
}

func main() {
	switch {
	case len(os.Args) > 4 && os.Args[1] == "cases":
		echo, obliging = os.Args[2], os.Args[3]
		if !runCases(os.Args[4:]) {
			os.Exit(1)
		}
	case len(os.Args) == 3 && os.Args[1] == "broadcast":
		broadcast(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: client cases ECHO OBLIGING NAME... | client broadcast URL")
		os.Exit(2)
	}
}

func runCases(names []string) bool {
	well := true
	for _, name := range names {
		if err := run(cases[name]); err != nil {
			fmt.Printf("FAILED %s: %v\n", name, err)
			well = false
		} else {
			fmt.Printf("ok %s\n", name)
		}
	}
	return well
}

// Runs a case. What `must` and `equal` panic with is why it failed.
func run(testCase func()) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("%.300v", why)
		}
	}()
	testCase()
	return nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(actual, expected any) {
	if actual != expected {
		panic(fmt.Sprintf("%.100q is not %.100q", fmt.Sprint(actual), fmt.Sprint(expected)))
	}
}

// A client is a connection on which nothing waits for longer than a case may take.
type client struct{ *websocket.Conn }

func open(url string, dialer websocket.Dialer, fields http.Header) client {
	conn, _, err := dialer.Dial(url, fields)
	must(err)
	must(conn.SetReadDeadline(time.Now().Add(caseLimit)))
	must(conn.SetWriteDeadline(time.Now().Add(caseLimit)))
	return client{conn}
}

func connect(url string) client { return open(url, websocket.Dialer{}, nil) }

// Sends a string as text, and bytes as a binary message.
func (c client) send(message any) {
	switch message := message.(type) {
	case string:
		must(c.WriteMessage(websocket.TextMessage, []byte(message)))
	case []byte:
		must(c.WriteMessage(websocket.BinaryMessage, message))
	}
}

// Returns the next message: text as a string, binary as bytes.
func (c client) receive() any {
	kind, data, err := c.ReadMessage()
	must(err)
	if kind == websocket.TextMessage {
		return string(data)
	}
	return data
}

func (c client) expect(message any) {
	received := c.receive()
	if bytes, ok := message.([]byte); ok {
		equal(fmt.Sprintf("%T", received), "[]uint8")
		equal(string(received.([]byte)), string(bytes))
		return
	}
	equal(received, message)
}

func (c client) ask(text string) string {
	c.send(text)
	return fmt.Sprint(c.receive())
}

// Sends a control frame.
func (c client) control(kind int, payload []byte) {
	must(c.WriteControl(kind, payload, time.Now().Add(caseLimit)))
}

// Waits for the server's Close.
func (c client) expectClose(code int, reason string) {
	_, _, err := c.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		panic(fmt.Sprintf("got %v in place of a Close", err))
	}
	equal(closed.Code, code)
	equal(closed.Text, reason)
}

// Closes with 1000, which the server answers with the status code alone.
func (c client) finish() {
	c.control(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
	c.expectClose(1000, "")
	c.Close()
}

func everyByte() []byte {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	return every
}

func echoes(messages ...any) {
	c := connect(echo)
	for _, message := range messages {
		c.send(message)
		c.expect(message)
	}
	c.finish()
}

func length(n int) { echoes(strings.Repeat("a", n), bytes.Repeat([]byte{0xa5}, n)) }

func fragmentsOfText() { fragments(websocket.TextMessage, []byte(text), 1) }

func fragmentsOfBinary() {
	fragments(websocket.BinaryMessage, bytes.Repeat([]byte("0123456789abc"), 81000)[:1<<20], 4096)
}

func fragments(kind int, data []byte, size int) {
	c := open(echo, websocket.Dialer{WriteBufferSize: size}, nil)
	c.sendFragments(kind, data, size, func() {})
	echoed, back, err := c.ReadMessage()
	must(err)
	equal(echoed, kind)
	equal(string(back), string(data))
	c.finish()
}

func fragmentsWithPing() {
	c := open(echo, websocket.Dialer{WriteBufferSize: 4}, nil)
	pongs := 0
	c.SetPongHandler(func(payload string) error {
		equal(payload, "now")
		pongs++
		return nil
	})
	c.sendFragments(websocket.TextMessage, []byte("one two three"), 4, func() {
		c.control(websocket.PingMessage, []byte("now"))
	})
	c.expect("one two three")
	equal(pongs, 4)
	c.finish()
}

// Sends `data` in fragments of `size` bytes, which is also the size of the connection's buffer: the
// library sends it as a fragment when it is full and there is more. Calls `between` for each.
func (c client) sendFragments(kind int, data []byte, size int, between func()) {
	writer, err := c.NextWriter(kind)
	must(err)
	for len(data) > 0 {
		n := size
		if n > len(data) {
			n = len(data)
		}
		_, err := writer.Write(data[:n])
		must(err)
		data = data[n:]
		between()
	}
	must(writer.Close())
}

func inOrder() { connect(echo).comeBackInOrder("message ") }

func (c client) comeBackInOrder(text string) {
	sent := make(chan error, 1)
	go func() {
		for n := 0; n < 10000; n++ {
			if err := c.WriteMessage(websocket.TextMessage, []byte(fmt.Sprint(text, n))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for n := 0; n < 10000; n++ {
		c.expect(fmt.Sprint(text, n))
	}
	must(<-sent)
	c.finish()
}

func ping() {
	c := connect(echo)
	var pongs []string
	c.SetPongHandler(func(payload string) error {
		pongs = append(pongs, payload)
		return nil
	})
	payloads := []string{"", "are you there?", strings.Repeat("p", 125)}
	for _, payload := range payloads {
		c.control(websocket.PingMessage, []byte(payload))
	}
	// A Pong is only seen by the way: what comes back behind them says that all are there.
	equal(c.ask("end"), "end")
	equal(strings.Join(pongs, "|"), strings.Join(payloads, "|"))
	c.finish()
}

func pingFromServer() {
	c := connect(obliging)
	equal(c.ask("ping are you there?"), "pong are you there?")
	c.finish()
}

func pongUnsolicited() {
	c := connect(obliging)
	c.control(websocket.PongMessage, []byte("here I am"))
	c.expect("pong here I am")
	c.finish()
}

func deflateDeclined() {
	dialer := websocket.Dialer{EnableCompression: true}
	conn, response, err := dialer.Dial(obliging, nil)
	must(err)
	c := client{conn}
	equal(response.Header.Get("Sec-WebSocket-Extensions"), "")
	offered := c.ask("field Sec-WebSocket-Extensions")
	equal(strings.HasPrefix(offered, "permessage-deflate"), true)
	payload := strings.Repeat("z", 100)
	equal(c.ask("ping "+payload), "pong "+payload)
	c.finish()
}

// On either side of where a length is encoded in another way, and of DEFLATE's window.
var sizes = []int{
	0, 1, 5, 63, 64, 100, 125, 126, 500, 1023, 4096, 32768, 65535, 65536, 100000, 1 << 17,
}

// Returns text that compresses well, but not to nothing.
func words(length int) string {
	chosen, text := rand.New(rand.NewSource(int64(length))), strings.Builder{}
	for text.Len() < length {
		fmt.Fprintf(&text, `{"id":%d,"name":"Ada"},`, chosen.Intn(1000))
	}
	return text.String()[:length]
}

// Returns bytes that do not compress.
func noise(length int) []byte {
	bytes := make([]byte, length)
	rand.New(rand.NewSource(int64(length))).Read(bytes)
	return bytes
}

// A counted connection tells how many bytes went over it, there and back.
type counted struct {
	net.Conn
	there, back int
}

func (c *counted) Write(bytes []byte) (int, error) {
	n, err := c.Conn.Write(bytes)
	c.there += n
	return n, err
}

func (c *counted) Read(bytes []byte) (int, error) {
	n, err := c.Conn.Read(bytes)
	c.back += n
	return n, err
}

// Connects to where the server agrees to compress, with a buffer for writing of some size.
func deflating(how string, size int) (client, *counted) {
	dialer := websocket.Dialer{EnableCompression: true, WriteBufferSize: size}
	var tcp *counted
	dialer.NetDial = func(network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		tcp = &counted{Conn: conn}
		return tcp, err
	}
	c := open(obliging+"/deflate/"+how, dialer, nil)
	return c, tcp
}

func deflates(how, agreed string) {
	c, tcp := deflating(how, 0)
	equal(c.ask("agreed"), agreed)
	tcp.there, tcp.back = 0, 0
	total := 0
	for _, size := range sizes {
		for _, message := range []any{words(size), []byte(words(size))} {
			c.send(message)
			c.expect(message)
		}
		total += size
	}
	if tcp.there >= total || tcp.back >= total {
		panic(fmt.Sprintf("%d there and %d back, for 2 times %d", tcp.there, tcp.back, total))
	}
	for n := 0; n < 2; n++ {
		tcp.there, tcp.back = 0, 0
		c.send(noise(1000))
		c.expect(noise(1000))
		equal(tcp.there > 1000 && tcp.back > 1000, true)
	}
	c.send(noise(100000))
	c.expect(noise(100000))
	c.finish()
}

func deflateFragments() {
	c, tcp := deflating("dedicated/15", 100)
	data, pings, pongs := []byte(words(100000)), 0, 0
	c.SetPongHandler(func(string) error {
		pongs++
		return nil
	})
	for n := 0; n < 2; n++ {
		c.sendFragments(websocket.BinaryMessage, data, 1000, func() {
			c.control(websocket.PingMessage, []byte("now"))
			pings++
		})
		c.expect(data)
	}
	equal(pongs, pings)
	equal(tcp.there < len(data) && tcp.back < len(data), true)
	c.finish()
}

func deflateInOrder() {
	c, _ := deflating("dedicated/15", 0)
	c.comeBackInOrder(strings.Repeat("a message that compresses ", 5))
}

func deflateTooBig() {
	c, _ := deflating("shared/15", 0)
	c.send(strings.Repeat("x", 2<<20+1))
	_, _, err := c.ReadMessage()
	equal(websocket.IsCloseError(err, websocket.CloseMessageTooBig), true)
	c.Close()
}

// The client closes. The server answers with the status code alone.
func closes(code int, reason string) {
	c := connect(obliging)
	c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason))
	c.expectClose(code, "")
	c.Close()
	expectLastClose(fmt.Sprintf("client clean %d %s", code, reason))
}

// The server closes.
func isClosed(code int, reason string) {
	c := connect(obliging)
	c.send(fmt.Sprintf("close %d %s", code, reason))
	c.expectClose(code, reason)
	c.Close()
	expectLastClose(fmt.Sprintf("server clean %d ", code))
}

// Asks the server how the last connection was closed.
func expectLastClose(beginning string) {
	c := connect(obliging)
	how := c.ask("last close")
	if !strings.HasPrefix(how, beginning) {
		panic(fmt.Sprintf("%q does not begin with %q", how, beginning))
	}
	c.finish()
}

func tooBig() {
	c := connect(obliging)
	// The server need not take all of it.
	_ = c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), 2<<20+1))
	_, _, err := c.ReadMessage()
	equal(websocket.IsCloseError(err, websocket.CloseMessageTooBig), true)
	c.Close()
}

func subprotocolChosen() {
	c := open(obliging, websocket.Dialer{Subprotocols: []string{"chat.v1", "other", "chat.v2"}}, nil)
	equal(c.Subprotocol(), "chat.v2")
	c.finish()
}

func subprotocolNone() {
	c := open(obliging, websocket.Dialer{Subprotocols: []string{"other"}}, nil)
	equal(c.Subprotocol(), "")
	c.finish()
}

func fields() {
	cookies := "session=31d4d96e; theme=dark"
	sent := http.Header{"X-Interop": {"by gorilla"}, "Cookie": {cookies}}
	c := open(obliging, websocket.Dialer{}, sent)
	equal(c.ask("field X-Interop"), "by gorilla")
	equal(c.ask("field Cookie"), cookies)
	c.finish()
}

func originSame() {
	origin := strings.Replace(echo, "ws", "http", 1)
	c := open(echo, websocket.Dialer{}, http.Header{"Origin": {origin}})
	equal(c.ask("hi"), "hi")
	c.finish()
}

func isRefused(url, origin string, status int) {
	fields := http.Header{}
	if origin != "" {
		fields.Set("Origin", origin)
	}
	_, response, err := websocket.DefaultDialer.Dial(url, fields)
	equal(err, websocket.ErrBadHandshake)
	equal(response.StatusCode, status)
}

// Joins the room, waits until all three are in it, says 100 things, and hears 300.
func broadcast(url string) {
	c := connect(url)
	present, said := map[string]bool{}, sha256.New()
	c.send("here go")
	for heard := 0; heard < 300; {
		_, data, err := c.ReadMessage()
		must(err)
		words := strings.Fields(string(data))
		if words[0] == "say" {
			fmt.Fprintf(said, "%s\n", data)
			heard++
			continue
		}
		if present[words[1]] {
			continue
		}
		present[words[1]] = true
		// Whoever has just come has not heard that we are here.
		c.send("here go")
		if len(present) == 3 {
			c.say()
		}
	}
	fmt.Printf("heard 300 %x\n", said.Sum(nil))
	c.finish()
}

func (c client) say() {
	for n := 0; n < 100; n++ {
		line := fmt.Sprint("say go ", n)
		if n%2 == 0 {
			c.send(line)
		} else {
			c.send([]byte(line))
		}
	}
}
