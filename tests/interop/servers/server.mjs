// What README.md says, by npm's `ws`.
import { createServer, STATUS_CODES } from "node:http";
import { WebSocketServer } from "ws";

const CREDENTIALS = "Basic " + Buffer.from("wsloop:open sesame").toString("base64");
const SUBPROTOCOLS = ["chat.v2", "chat.v1"];

let lastClose = "";
const open = new Set();
/** Those that want to know how the last connection was closed: connections. */
const curious = new Set();

const http = createServer((_, response) => response.writeHead(426).end());
const webSocket = new WebSocketServer({
  noServer: true,
  maxPayload: 4 << 20,
  perMessageDeflate: true,
  handleProtocols: offered => SUBPROTOCOLS.find(name => offered.has(name)) ?? false,
});
webSocket.on("headers", headers =>
  headers.push("X-Interop: ws", "Set-Cookie: session=31d4d96e"));

http.on("upgrade", (request, socket, head) => {
  const [, name, rest] = request.url.split("/");
  const refuse = (status, body, ...fields) => {
    fields.push("Connection: close", `Content-Length: ${Buffer.byteLength(body)}`);
    const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`;
    socket.end([statusLine, ...fields, "", body].join("\r\n"));
  };
  const accept = talk => webSocket.handleUpgrade(request, socket, head, connection => {
    note(connection);
    connection.on("message", (data, binary) => talk(connection, data, binary));
  });
  const oblige = () => accept((connection, data) => obey(connection, request, data.toString()));

  if (name === "") oblige();
  else if (name === "echo") accept((connection, data, binary) => connection.send(data, { binary }));
  else if (name === "counted") accept(count(socket));
  else if (name === "fragments") accept(sendFragments(Number(rest)));
  else if (name === "private" && request.headers.authorization === CREDENTIALS) oblige();
  else if (name === "private") refuse(401, "who are you?\n", 'WWW-Authenticate: Basic realm="interop"');
  else if (name === "redirect" && rest === "away") {
    refuse(302, "", `Location: ws://localhost:${request.headers.host.split(":")[1]}/`);
  } else if (name === "redirect") refuse(302, "", "Location: /echo");
  else if (name === "refuse") refuse(Number(rest), `refused with ${rest}\n`);
  else refuse(404, "there is nothing here\n");
});

/** Remembers the connection until it ends, and how it did. */
function note(connection) {
  open.add(connection);
  connection.on("error", () => {});
  connection.on("close", (code, reason) => {
    if (code !== 1006) {
      const how = connection.closedWith ?? `${code} ${reason}`;
      lastClose = `${connection.closedWith ? "server" : "client"} ${how}`;
    }
    open.delete(connection);
    curious.delete(connection);
    tell();
  });
}

function tell() {
  for (const connection of curious) {
    if (open.size > 1) return;
    curious.delete(connection);
    connection.send(lastClose);
  }
}

const count = socket => (connection, data, binary) => {
  if (data.toString() !== "bytes") connection.send(data, { binary });
  else connection.send(`ws ${socket.bytesRead} ${socket.bytesWritten}`);
};

const sendFragments = size => (connection, data, binary) => {
  let at = 0;
  do {
    if (at) connection.ping("between");
    const fin = at + size >= data.length;
    connection.send(data.subarray(at, at + size), { binary, fin });
    at += size;
  } while (at < data.length);
};

function obey(connection, request, text) {
  const [verb, ...words] = text.split(" ");
  const rest = words.join(" ");
  if (verb === "field") connection.send(request.headers[rest.toLowerCase()] ?? "");
  else if (verb === "ping") {
    connection.once("pong", payload => connection.send(`pong ${payload}`));
    connection.ping(rest);
  } else if (verb === "close") {
    connection.closedWith = rest;
    connection.close(Number(words[0]), words.slice(1).join(" "));
  } else if (verb === "last") {
    curious.add(connection);
    tell();
  } else connection.close(1003, "no such request");
}

http.listen(0, "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${http.address().port}`));
