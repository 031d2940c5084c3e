// Messages that the echo example and a browser compress.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LIMIT, launch, open } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser;

before(async () => {
  browser = await launch();
}, { timeout: LIMIT });

after(() => browser?.close());

/**
 * Has the page open a WebSocket and echo, twice, messages of both kinds and of many sizes, some
 * that compress and some that do not. Returns the extensions, and what did not come back as it was.
 */
function echoes(page, url) {
  return page.evaluate(url => new Promise((resolve, reject) => {
    const sizes = [0, 1, 5, 63, 64, 125, 126, 500, 4096, 32768, 65535, 65536, 100_000, 1 << 20];
    const words = size => '{"id":17,"name":"Ada é €"},'.repeat(size / 10 + 1).slice(0, size);
    const noise = size => {
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      return bytes;
    };
    const encoder = new TextEncoder();
    const messages = sizes.flatMap(size => [words(size), encoder.encode(words(size)), noise(size)]);
    const queue = [...messages, ...messages];
    const equal = (one, other) =>
      one.length === other.length && one.every((byte, at) => byte === other[at]);

    const socket = new WebSocket(url), wrong = [];
    socket.binaryType = "arraybuffer";
    let received = 0;
    // One at a time: the server keeps no more than 4 MiB for a page that does not read.
    socket.onopen = () => socket.send(queue[0]);
    socket.onmessage = ({ data }) => {
      const sent = queue[received++];
      const same = typeof sent === "string" || typeof data === "string"
        ? sent === data : equal(sent, new Uint8Array(data));
      if (!same) wrong.push(received);
      if (received === queue.length) socket.close(1000);
      else socket.send(queue[received]);
    };
    socket.onerror = () => reject(new Error("the connection failed"));
    socket.onclose = ({ code, wasClean }) =>
      resolve({
        extensions: socket.extensions,
        wrong,
        received: received / messages.length,
        code,
        wasClean,
      });
  }), url);
}

for (const [option, extensions] of [
  ["--deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
  ["--deflate=dedicated", "permessage-deflate"],
]) {
  test(`messages of all sizes come back: echo ${option}`, async () => {
    const echo = await Example.start("echo", "--listen", "127.0.0.1:0", option);
    const page = await open(browser, echo.page);
    try {
      const seen = await echoes(page, echo.webSocket);
      assert.deepEqual(seen, { extensions, wrong: [], received: 2, code: 1000, wasClean: true });
    } finally {
      await Promise.all([page.context().close(), echo.kill()]);
    }
  });
}
