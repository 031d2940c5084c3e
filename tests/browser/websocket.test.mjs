// The browser's own WebSocket, as any page's script has it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { LIMIT, launch, open, talk } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser, echo, obliging;
// A page of each server's origin.
let echoPage, page;

before(async () => {
  [browser, echo, obliging] = await Promise.all([
    launch(),
    Example.start("echo", "--listen", "127.0.0.1:0"),
    Example.start("interop"),
  ]);
  echoPage = await open(browser, echo.page);
  // The obliging server has no page but the one that says 404.
  page = await open(browser, `${obliging.page}nowhere`);
}, { timeout: LIMIT });

after(async () => {
  await browser?.close();
  await Promise.all([echo?.stop(), obliging?.kill()]);
});

/** What the browser logs when the server refuses an opening handshake with `status`. */
const refusal = (page, status) => page.waitForEvent("console", message =>
  message.text().endsWith(`Unexpected response code: ${status}`));

for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
  test(`${length} bytes are echoed, as text and as binary`, async () => {
    const echoed = await echoPage.evaluate(([url, length]) => new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const text = "a".repeat(length), binary = Uint8Array.from({ length }, (_, at) => at % 251);
      const received = [];
      socket.onopen = () => {
        socket.send(text);
        socket.send(binary);
      };
      socket.onmessage = ({ data }) => {
        if (received.push(data) < 2) return;
        const back = new Uint8Array(received[1]);
        const same = back.length === length && back.every((byte, at) => byte === binary[at]);
        resolve([received[0] === text, received[1] instanceof ArrayBuffer && same]);
      };
      socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
    }), [echo.webSocket, length]);
    assert.deepEqual(echoed, [true, true]);
  });
}

test("10,000 messages come back in order", async () => {
  const inOrder = await echoPage.evaluate(url => new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    let expected = 0;
    socket.onopen = () => {
      for (let n = 0; n < 10_000; n++) socket.send(`message ${n}`);
    };
    socket.onmessage = ({ data }) => {
      if (data !== `message ${expected++}`) reject(new Error(`${data} is not the ${expected}th`));
      if (expected === 10_000) resolve(true);
    };
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  }), echo.webSocket);
  assert.ok(inOrder);
});

test("permessage-deflate is offered and declined", async () => {
  const texts = ["field Sec-WebSocket-Extensions"];
  const { extensions, received } = await talk(page, obliging.webSocket, { texts, close: [1000] });
  assert.match(received[0], /^permessage-deflate/);
  assert.equal(extensions, "");
});

test("a Ping of the server's is answered", async () => {
  const texts = ["ping are you there?"];
  const { received } = await talk(page, obliging.webSocket, { texts, close: [1000] });
  assert.deepEqual(received, ["pong are you there?"]);
});

// A page may close with no other status codes than these. The server answers with the code alone.
for (const [close, seen, code] of [
  [[1000, "done"], "1000 done", 1000],
  [[3000], "3000 ", 3000],
  [[4999, "é".repeat(61)], `4999 ${"é".repeat(61)}`, 4999],
  [[], "1005 ", 1005],
]) {
  test(`a page closes with ${close[0] ?? "no status code"}`, async () => {
    const closed = (await talk(page, obliging.webSocket, { close })).close;
    assert.deepEqual(closed, { code, reason: "", wasClean: true });
    const texts = ["last close"];
    const { received } = await talk(page, obliging.webSocket, { texts, close: [1000] });
    assert.deepEqual(received, [`client clean ${seen}`]);
  });
}

for (const [code, reason] of [
  [1000, "done"],
  [1001, ""],
  [3000, "é".repeat(61)],
  [4999, "r".repeat(123)],
]) {
  test(`the server closes with ${code}`, async () => {
    const { close } = await talk(page, obliging.webSocket, { texts: [`close ${code} ${reason}`] });
    assert.deepEqual(close, { code, reason, wasClean: true });
  });
}

test("a message over the limit is refused with 1009", async () => {
  const { close } = await talk(page, obliging.webSocket, { texts: ["x".repeat((2 << 20) + 1)] });
  assert.equal(close.code, 1009);
});

test("of several subprotocols, the one that the server likes best is chosen", async () => {
  const protocols = ["chat.v1", "other", "chat.v2"];
  const { protocol } = await talk(page, obliging.webSocket, { protocols, close: [1000] });
  assert.equal(protocol, "chat.v2");
});

test("a browser fails a connection without any subprotocol that it offered", async () => {
  const { opened, close } = await talk(page, obliging.webSocket, { protocols: ["other"] });
  assert.equal(opened, false);
  assert.deepEqual(close, { code: 1006, reason: "", wasClean: false });
});

test("cookies reach the application", async () => {
  await page.context().addCookies([{ name: "session", value: "31d4d96e", url: obliging.page }]);
  const texts = ["field Cookie", "field Origin"];
  const { received } = await talk(page, obliging.webSocket, { texts, close: [1000] });
  assert.deepEqual(received, ["session=31d4d96e", obliging.origin]);
});

test("the application's 404 fails the connection", async () => {
  const [, { opened, close }] = await Promise.all([
    refusal(page, 404),
    talk(page, `${obliging.webSocket}nowhere`),
  ]);
  assert.equal(opened, false);
  assert.deepEqual(close, { code: 1006, reason: "", wasClean: false });
});

test("a page from another port is refused with 403", async () => {
  const elsewhere = createServer((_, response) => response.end("elsewhere"));
  await once(elsewhere.listen(0, "127.0.0.1"), "listening");
  try {
    await isRefused(`http://127.0.0.1:${elsewhere.address().port}/`);
  } finally {
    elsewhere.close();
    elsewhere.closeAllConnections();
  }
});

test("a page from another host name is refused with 403", async () => {
  await isRefused(echo.page.replace("127.0.0.1", "localhost"));
});

/** Checks that a page from `url` cannot connect to the echo server. */
async function isRefused(url) {
  const stranger = await open(browser, url);
  const [, { opened, close }] = await Promise.all([
    refusal(stranger, 403),
    talk(stranger, echo.webSocket),
  ]);
  assert.equal(opened, false);
  assert.deepEqual(close, { code: 1006, reason: "", wasClean: false });
}
