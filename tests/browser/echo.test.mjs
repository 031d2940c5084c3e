// The echo example's page, as a user sees it.
import { after, afterEach, before, beforeEach, test } from "node:test";
import { LIMIT, launch, open, says } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser, echo, page;

before(async () => {
  browser = await launch();
}, { timeout: LIMIT });

beforeEach(async () => {
  echo = await Example.start("echo", "--listen", "127.0.0.1:0");
  page = await open(browser, echo.page);
  await says(page, "#state", /^open$/);
}, { timeout: LIMIT });

afterEach(() => Promise.all([page?.context().close(), echo?.kill()]));

after(() => browser?.close());

/** Sends by the form, and waits for what comes back. */
async function send(text, kind = "text", shown = text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
  await says(page, `#log .${kind}`, shown);
}

test("what is typed comes back", async () => {
  await send("hello: é € 😀");
  await says(page, "#rtt", /^round trip \d+\.\d\d ms$/);
  await send("and again");
});

test("what is typed comes back as binary", async () => {
  await page.locator("#binary").check();
  await send("é 1", "binary", /^c3 a9 20 31\s*binary · 4 bytes/);
});

test("a mebibyte comes back as it was sent, as text and as binary", async () => {
  await page.locator("#mebibyte").click();
  await says(page, "#log .text", /…\s*text · 1048576 characters/);
  await page.locator("#binary").check();
  await page.locator("#mebibyte").click();
  await says(page, "#log .binary", /…\s*binary · 1048576 bytes/);
});

for (const [code, reason] of [[1000, "done"], [3000, ""], [4999, "é"]]) {
  test(`the page closes with ${code}, and connects again`, async () => {
    await page.locator("#code").fill(String(code));
    await page.locator("#reason").fill(reason);
    await page.getByRole("button", { name: "Close" }).click();
    // The server answers with the status code alone.
    await says(page, "#log .note", new RegExp(`^closed with ${code}\\s*clean$`));
    await page.getByRole("button", { name: "Connect" }).click();
    await says(page, "#state", /^open$/);
    await send("here again");
  });
}

test("the page hears of the server's end, and connects to the next one", async () => {
  await echo.stop();
  await says(page, "#log .note", /^closed with 1001.*(?<!not )clean$/);
  await says(page, "#state", /^closed$/);
  echo = await Example.start("echo", "--listen", echo.host);
  await page.getByRole("button", { name: "Connect" }).click();
  await says(page, "#state", /^open$/);
  await send("here again");
});

test("the page sees that the server was killed", async () => {
  await echo.kill();
  await says(page, "#log .note", /^closed with 1006\s*not clean$/);
});
