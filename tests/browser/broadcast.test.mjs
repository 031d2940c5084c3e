// The broadcast example's page, in two windows.
import { after, before, test } from "node:test";
import { LIMIT, launch, open, says } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser, broadcast, pages;

before(async () => {
  broadcast = await Example.start("broadcast", "--listen", "127.0.0.1:0");
  browser = await launch();
  pages = [await open(browser, broadcast.page), await open(browser, broadcast.page)];
  for (const page of pages) await says(page, "#state", /^open$/);
}, { timeout: LIMIT });

after(() => Promise.all([browser?.close(), broadcast?.kill()]));

test("what one page sends, all get, itself included", async () => {
  for (const [n, sender] of pages.entries()) {
    await sender.locator("#text").fill(`from ${n}`);
    await sender.locator("#text").press("Enter");
    for (const page of pages) await says(page, "#log .text", `from ${n}`);
  }
});

test("binary messages stay binary", async () => {
  await pages[0].locator("#binary").check();
  await pages[0].locator("#text").fill("é 1");
  await pages[0].locator("#text").press("Enter");
  for (const page of pages) await says(page, "#log .binary", /^c3 a9 20 31\s*binary · 4 bytes$/);
});

test("pages come back by themselves when the server does", async () => {
  await broadcast.stop();
  for (const page of pages) await says(page, "#log .note", /^closed with 1001/);
  broadcast = await Example.start("broadcast", "--listen", broadcast.host);
  for (const page of pages) await says(page, "#state", /^open$/);
});
