// The cases of cases.txt, by npm's `ws`.
//
//   client.mjs cases ECHO OBLIGING NAME...   reports each case in a line
//   client.mjs broadcast URL                 is one of three in a room, and tells what it heard
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const CASE_LIMIT = 20_000;
const [mode, echo, obliging, ...names] = process.argv.slice(2);

/** A connection that keeps what arrives until it is asked for. */
class Client {
  received = [];
  waiting = [];

  static async open(url, subprotocols = [], options = {}) {
    const client = new Client();
    client.socket = new WebSocket(url, subprotocols, options);
    client.socket.on("message", (data, binary) => client.arrive(binary ? data : data.toString()));
    client.socket.on("pong", data => client.arrive({ pong: data.toString() }));
    client.closed = new Promise(resolve =>
      client.socket.on("close", (code, reason) => resolve([code, reason.toString()])));
    await once(client.socket, "open");
    // From now on, "close" follows an error, and tells.
    client.socket.on("error", () => {});
    return client;
  }

  arrive(what) {
    const next = this.waiting.shift();
    if (next) next(what);
    else this.received.push(what);
  }

  /** The next message or Pong: text as a string, binary as a Buffer. */
  async next() {
    if (this.received.length) return this.received.shift();
    const arrived = new Promise(resolve => this.waiting.push(resolve));
    return Promise.race([arrived, this.closed.then(([code, reason]) => {
      throw new Error(`closed with ${code} ${reason}`);
    })]);
  }

  async close(...how) {
    this.socket.close(...how);
    return this.closed;
  }

  async ask(text) {
    this.socket.send(text);
    return this.next();
  }
}

/** Opens a connection, has `talk` use it, and closes it. */
async function connected(url, talk, subprotocols, options) {
  const client = await Client.open(url, subprotocols, options);
  try {
    await talk(client);
    assert.deepEqual((await client.close(1000))[0], 1000);
    assert.deepEqual(client.received, [], "nothing more arrives");
  } finally {
    client.socket.terminate();
  }
}

const echoes = (...messages) => () => connected(echo, async client => {
  for (const message of messages) {
    client.socket.send(message);
    assert.deepEqual(await client.next(), message);
  }
});

const lengths = length => echoes("a".repeat(length), Buffer.alloc(length, 0xa5));

/** Sends `data` in fragments of `size` bytes, and calls `between` before each but the first. */
function sendFragments(socket, data, size, binary, between = () => {}) {
  for (let at = 0; at < data.length; at += size) {
    if (at) between();
    socket.send(data.subarray(at, at + size), { binary, fin: at + size >= data.length });
  }
}

// The server answers a Close with its status code alone.
const closes = (how, seen, reported) => async () => {
  const client = await Client.open(obliging);
  assert.deepEqual(await client.close(...how), [reported, ""]);
  await connected(obliging, async other =>
    assert.equal(await other.ask("last close"), `client clean ${seen}`));
};

const isClosed = (code, reason) => async () => {
  const client = await Client.open(obliging);
  client.socket.send(`close ${code} ${reason}`);
  assert.deepEqual(await client.closed, [code, reason]);
  await connected(obliging, async other =>
    assert.match(await other.ask("last close"), new RegExp(`^server clean ${code} `)));
};

/** The status with which the server refuses to open a connection. */
async function refusal(url, options) {
  const socket = new WebSocket(url, options);
  const opened = once(socket, "open").then(() => {
    socket.terminate();
    throw new Error(`${url} let us in`);
  });
  const [request, response] = await Promise.race([once(socket, "unexpected-response"), opened]);
  request.destroy();
  return response.statusCode;
}

// On either side of where a length is encoded in another way, and of zlib's window.
const SIZES =
  [0, 1, 5, 63, 64, 100, 125, 126, 500, 1023, 4096, 32768, 65535, 65536, 100_000, 1 << 17];

/** Numbers that look random: 0 to 65,535, the same each time (Numerical Recipes' generator). */
function* numbers(seed) {
  for (;;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    yield seed >>> 16;
  }
}

/** Text that compresses well, but not to nothing. */
function words(length) {
  let text = "";
  for (const number of numbers(length)) {
    if (text.length >= length) return text.slice(0, length);
    text += `{"id":${number % 1000},"name":"Ada"},`;
  }
}

/** Bytes that do not compress. */
function noise(length) {
  const source = numbers(length);
  return Buffer.from(Array.from({ length }, () => source.next().value >> 8));
}

/** Has a message echoed, and returns how many bytes it took, there and back. */
async function cost(client, message) {
  const { _socket: tcp } = client.socket;
  const before = [tcp.bytesWritten, tcp.bytesRead];
  client.socket.send(message);
  assert.deepEqual(await client.next(), message);
  return [tcp.bytesWritten - before[0], tcp.bytesRead - before[1]];
}

const deflating = (how, asked, talk) => () => connected(`${obliging}/deflate/${how}`, talk, [], {
  perMessageDeflate: { threshold: 0, ...asked },
});

const deflates = (how, agreed, asked) => deflating(how, asked, async client => {
  assert.equal(await client.ask("agreed"), agreed);
  const thereAndBack = [0, 0], bytes = SIZES.reduce((sum, size) => sum + size);
  for (const text of SIZES.map(words)) {
    for (const message of [text, Buffer.from(text)]) {
      (await cost(client, message)).forEach((took, way) => thereAndBack[way] += took);
    }
  }
  assert(Math.max(...thereAndBack) < bytes, `${thereAndBack} for 2 times ${bytes}`);
  // What does not compress does so the second time, within reach of the first.
  for (const size of [200, 1000]) {
    await cost(client, noise(size));
    const costs = await cost(client, noise(size));
    ["client", "server"].forEach((end, way) => {
      const [, bits, alone] = new RegExp(`${end} (\\d+)( alone)?`).exec(agreed);
      const inReach = !alone && size < 2 ** bits - 262;
      assert.equal(costs[way] < 100, inReach, `${costs[way]} of ${size} bytes by the ${end}`);
    });
  }
  await cost(client, noise(100_000));
});

async function comeBackInOrder(client, text) {
  for (let n = 0; n < 10_000; n++) client.socket.send(`${text}${n}`);
  for (let n = 0; n < 10_000; n++) assert.equal(await client.next(), `${text}${n}`);
}

const TEXT = "wsloop: é € 😀";
const cases = {
  "text": echoes("a", TEXT),
  "binary": echoes(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))),
  "empty": echoes("", Buffer.alloc(0), "end"),
  "length-125": lengths(125),
  "length-126": lengths(126),
  "length-65535": lengths(65535),
  "length-65536": lengths(65536),
  "length-1048576": lengths(1 << 20),
  "fragments-text": () => connected(echo, async client => {
    sendFragments(client.socket, Buffer.from(TEXT), 1, false);
    assert.equal(await client.next(), TEXT);
  }),
  "fragments-binary": () => connected(echo, async client => {
    const data = Buffer.alloc(1 << 20, "0123456789abc");
    sendFragments(client.socket, data, 4096, true);
    assert.deepEqual(await client.next(), data);
  }),
  "fragments-with-ping": () => connected(echo, async client => {
    sendFragments(client.socket, Buffer.from("one two"), 4, false, () => client.socket.ping("now"));
    assert.deepEqual(await client.next(), { pong: "now" });
    assert.equal(await client.next(), "one two");
  }),
  "in-order": () => connected(echo, client => comeBackInOrder(client, "message ")),
  "ping": () => connected(echo, async client => {
    for (const payload of ["", "are you there?", "p".repeat(125)]) {
      client.socket.ping(payload);
      assert.deepEqual(await client.next(), { pong: payload });
    }
  }),
  "ping-from-server": () => connected(obliging, async client => {
    const pinged = once(client.socket, "ping");
    assert.equal(await client.ask("ping are you there?"), "pong are you there?");
    assert.equal((await pinged)[0].toString(), "are you there?");
  }),
  "pong-unsolicited": () => connected(obliging, async client => {
    client.socket.pong("here I am");
    assert.equal(await client.next(), "pong here I am");
  }),
  "deflate-declined": () => connected(obliging, async client => {
    assert.match(await client.ask("field Sec-WebSocket-Extensions"), /^permessage-deflate/);
    assert.equal(client.socket.extensions, "");
    assert.equal(await client.ask(`ping ${"z".repeat(100)}`), `pong ${"z".repeat(100)}`);
  }, [], { perMessageDeflate: true }),
  "deflate-shared": deflates("shared/15", "server 15 alone, client 15 alone"),
  "deflate-dedicated": deflates("dedicated/15", "server 15, client 15"),
  "deflate-window-9": deflates("dedicated/9", "server 9, client 9"),
  "deflate-server-alone": deflates("dedicated/15", "server 15 alone, client 10",
    { serverNoContextTakeover: true, clientMaxWindowBits: 10 }),
  "deflate-client-alone": deflates("dedicated/15", "server 10, client 15 alone",
    { clientNoContextTakeover: true, serverMaxWindowBits: 10 }),
  "deflate-fragments": deflating("dedicated/15", {}, async client => {
    const data = Buffer.from(words(100_000)), { _socket: tcp } = client.socket;
    for (let n = 0; n < 2; n++) {
      let pings = 0;
      sendFragments(client.socket, data, 1000, true, () => {
        client.socket.ping("now");
        pings++;
      });
      while (pings--) assert.deepEqual(await client.next(), { pong: "now" });
      assert.deepEqual(await client.next(), data);
    }
    assert(Math.max(tcp.bytesWritten, tcp.bytesRead) < data.length);
  }),
  "deflate-in-order": deflating("dedicated/15", {}, client =>
    comeBackInOrder(client, "a message that compresses ".repeat(5))),
  "deflate-too-big": async () => {
    const client = await Client.open(`${obliging}/deflate/shared/15`, [], { perMessageDeflate: true });
    client.socket.send("x".repeat((2 << 20) + 1));
    assert.equal((await client.closed)[0], 1009);
  },
  "close-1000": closes([1000, "done"], "1000 done", 1000),
  "close-1001": closes([1001, "leaving: é"], "1001 leaving: é", 1001),
  "close-3000": closes([3000], "3000 ", 3000),
  "close-4999": closes([4999, "r".repeat(123)], `4999 ${"r".repeat(123)}`, 4999),
  "close-none": closes([], "1005 ", 1005),
  "closed-1000": isClosed(1000, "done"),
  "closed-1001": isClosed(1001, "leaving: é"),
  "closed-3000": isClosed(3000, ""),
  "closed-4999": isClosed(4999, "r".repeat(123)),
  "too-big": async () => {
    const client = await Client.open(obliging);
    client.socket.send("x".repeat((2 << 20) + 1));
    assert.equal((await client.closed)[0], 1009);
  },
  "subprotocol-chosen": () => connected(obliging, async client =>
    assert.equal(client.socket.protocol, "chat.v2"), ["chat.v1", "other", "chat.v2"]),
  "subprotocol-none": async () => {
    // `ws` fails the connection then, as browsers do. RFC 6455 §4.1 does not ask for it.
    const socket = new WebSocket(obliging, ["other"]);
    const [error] = await once(socket, "error");
    assert.equal(error.message, "Server sent no subprotocol");
  },
  "fields": () => connected(obliging, async client => {
    assert.equal(await client.ask("field X-Interop"), "by ws");
    assert.equal(await client.ask("field Cookie"), "session=31d4d96e; theme=dark");
  }, [], { headers: { "X-Interop": "by ws", Cookie: "session=31d4d96e; theme=dark" } }),
  "origin-refused": async () =>
    assert.equal(await refusal(echo, { origin: "http://elsewhere.example" }), 403),
  "origin-same": () => connected(echo, async client =>
    assert.equal(await client.ask("hi"), "hi"), [], { origin: echo.replace("ws", "http") }),
  "not-found": async () => assert.equal(await refusal(`${obliging}/nowhere`, {}), 404),
};

async function runCases() {
  for (const name of names) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("took too long")), CASE_LIMIT);
    });
    try {
      await Promise.race([cases[name](), late]);
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`FAILED ${name}: ${error.message.replaceAll("\n", " ")}`);
      process.exitCode = 1;
    } finally {
      clearTimeout(timer);
    }
  }
  process.exit();
}

/** Joins the room, waits until all three are in it, says 100 things, and hears 300. */
async function broadcast(url) {
  const client = await Client.open(url);
  const present = new Set(), said = createHash("sha256");
  let heard = 0;
  client.socket.send("here node");
  while (heard < 300) {
    const message = (await client.next()).toString();
    const [verb, who] = message.split(" ");
    if (verb === "here") {
      if (present.has(who)) continue;
      present.add(who);
      // Whoever has just come has not heard that we are here.
      client.socket.send("here node");
      if (present.size < 3) continue;
      for (let n = 0; n < 100; n++) {
        const line = `say node ${n}`;
        client.socket.send(n % 2 ? Buffer.from(line) : line);
      }
    } else {
      said.update(`${message}\n`);
      heard++;
    }
  }
  console.log(`heard ${heard} ${said.digest("hex")}`);
  await client.close(1000);
}

await (mode === "broadcast" ? broadcast(process.argv[3]) : runCases());
