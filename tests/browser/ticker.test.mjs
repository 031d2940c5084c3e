// The ticker example's page.
import { after, afterEach, before, test } from "node:test";
import { LIMIT, launch, open, says } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser;
const tickers = [];

before(async () => {
  browser = await launch();
}, { timeout: LIMIT });

afterEach(() => Promise.all(tickers.splice(0).map(ticker => ticker.kill())));

after(() => browser?.close());

async function start(listen, ...options) {
  const ticker = await Example.start("ticker", "--listen", listen, "--every", "0.05", ...options);
  tickers.push(ticker);
  return ticker;
}

/** Waits until the page has heard the server often. */
const hearsOften = page =>
  page.waitForFunction(() => document.querySelectorAll("#log .text").length > 9);

test("all pages hear hello again and again", async () => {
  const ticker = await start("127.0.0.1:0");
  for (const page of [await open(browser, ticker.page), await open(browser, ticker.page)]) {
    await says(page, "#log .text", /^hello/);
    await hearsOften(page);
  }
});

test("a page comes back by itself when the server does", async () => {
  const ticker = await start("127.0.0.1:0");
  const page = await open(browser, ticker.page);
  await hearsOften(page);
  await ticker.stop();
  await says(page, "#log .note", /^closed with 1001/);
  const heard = Number(await page.locator("#count").textContent());
  await start(ticker.host);
  await page.waitForFunction(heard =>
    Number(document.querySelector("#count").textContent) > heard, heard);
});

test("a page may listen to a server that names its origin", async () => {
  const ticker = await start("127.0.0.1:0");
  const other = await start("127.0.0.1:0", "--origin", `http://${ticker.host}`);
  const page = await open(browser, `${ticker.page}?server=${other.host}`);
  await says(page, "#log .note", `connected to ${other.host}`);
  await hearsOften(page);
});

test("a page may not listen to a server that names other origins", async () => {
  const ticker = await start("127.0.0.1:0");
  const other = await start("127.0.0.1:0", "--origin", "https://elsewhere.example");
  for (const url of [`${ticker.page}?server=${other.host}`, other.page]) {
    const page = await open(browser, url);
    await says(page, "#log .note", /^closed with 1006/);
    await says(page, "#log .note", `${other.host} is not there, or does not allow pages from`);
  }
});
