// What a browser makes of the echo example within TLS, besides what it makes of any server.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";
import { env } from "node:process";
import { LIMIT, launch, open, says, talk } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser, echo;

before(async () => {
  echo = await Example.start("echo", "--listen", "127.0.0.1:0");
}, { timeout: LIMIT });

afterEach(() => browser?.close());

after(() => echo?.stop());

for (const version of ["tls1.2", "tls1.3"]) {
  test(`the page and its WebSocket are there by ${version}`, async () => {
    const only = [`--ssl-version-min=${version}`, `--ssl-version-max=${version}`];
    browser = await launch(env.TLS_KEY_HASH, ...only);
    const page = await open(browser, echo.page);
    await says(page, "#state", /^open$/);
    const { protocol } = await (await page.goto(echo.page)).securityDetails();
    assert.equal(protocol, version.replace("tls", "TLS "));
  });
}

test("a certificate that nobody vouches for is not accepted", async () => {
  browser = await launch("");
  await assert.rejects(open(browser, echo.page), /ERR_CERT_AUTHORITY_INVALID/);
});

test("nor is it for a WebSocket of a page that is from elsewhere", async () => {
  const elsewhere = createServer((_, response) => response.end("elsewhere"));
  await once(elsewhere.listen(0, "127.0.0.1"), "listening");
  try {
    browser = await launch("");
    const page = await open(browser, `http://127.0.0.1:${elsewhere.address().port}/`);
    const complaint = page.waitForEvent("console", message =>
      message.text().endsWith("net::ERR_CERT_AUTHORITY_INVALID"));
    const [, { opened, close }] = await Promise.all([complaint, talk(page, echo.webSocket)]);
    assert.equal(opened, false);
    assert.deepEqual(close, { code: 1006, reason: "", wasClean: false });
  } finally {
    elsewhere.close();
    elsewhere.closeAllConnections();
  }
});

test("a page that is asked for by http is told of https", async () => {
  browser = await launch();
  const page = await open(browser, echo.page.replace("https:", "http:"));
  await says(page, "body", "is it wss or https?");
});
