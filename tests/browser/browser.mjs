// Chromium, and what more than one file asks of it.
import { env } from "node:process";
import { chromium } from "playwright-core";

/** No step takes so long, in milliseconds, unless it is stuck. */
export const LIMIT = 20_000;

/**
 * Starts Chromium, without what would have it call home. A certificate that nobody vouches for is
 * accepted if it has this key, and no other is: Playwright's `ignoreHTTPSErrors` would accept any.
 */
export function launch(keyHash = env.TLS_KEY_HASH ?? "", ...options) {
  return chromium.launch({
    executablePath: env.CHROMIUM,
    // A signal ends this process, and that ends the browser.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--ignore-certificate-errors-spki-list=${keyHash}`,
      ...options,
    ],
  });
}

/** Opens a page in a profile of its own. */
export async function open(browser, url) {
  const context = await browser.newContext();
  context.setDefaultTimeout(LIMIT);
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Waits until there is an element that `selector` matches and that has `text` in it. */
export async function says(page, selector, text) {
  await page.locator(selector, { hasText: text }).first().waitFor();
}

/**
 * Has the page open a WebSocket, send some texts, hear an answer to each, and close or be closed.
 * Returns what the page's script sees of all this.
 */
export function talk(page, url, { protocols = [], texts = [], close = null } = {}) {
  return page.evaluate(({ url, protocols, texts, close }) => new Promise(resolve => {
    const socket = new WebSocket(url, protocols);
    const seen = { opened: false, received: [] };
    const next = () => {
      if (seen.received.length < texts.length) socket.send(texts[seen.received.length]);
      else if (close) socket.close(...close);
    };
    socket.onopen = () => {
      const { protocol, extensions } = socket;
      Object.assign(seen, { opened: true, protocol, extensions });
      next();
    };
    socket.onmessage = ({ data }) => {
      seen.received.push(data);
      next();
    };
    socket.onclose = ({ code, reason, wasClean }) =>
      resolve({ ...seen, close: { code, reason, wasClean } });
  }), { url, protocols, texts, close });
}
