// The chat example's page, in the windows of several people.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { LIMIT, launch, open, says } from "./browser.mjs";
import { Example } from "./example.mjs";

let browser, chat;
const pages = [];

before(async () => {
  browser = await launch();
}, { timeout: LIMIT });

beforeEach(async () => {
  chat = await Example.start("chat", "--listen", "127.0.0.1:0");
}, { timeout: LIMIT });

afterEach(async () => {
  await Promise.all(pages.splice(0).map(page => page.context().close()));
  await chat?.kill();
});

after(() => browser?.close());

/** Opens the page in a profile of its own, and signs in. */
async function enter(name) {
  const page = await open(browser, chat.page);
  pages.push(page);
  await signIn(page, name);
  await says(page, "#messages li", `signed in as ${name}`);
  return page;
}

async function signIn(page, name) {
  await page.locator("#name").fill(name);
  await page.locator("#name").press("Enter");
}

/** Says something to everyone, or to one. */
async function say(page, text, to = "everyone") {
  await page.locator("#to").selectOption({ label: to });
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
}

/** Waits until the page shows exactly these people. */
const shows = (page, ...people) => page.waitForFunction(expected => {
  const shown = [...document.querySelectorAll("#people li")].map(line => line.textContent);
  return shown.join("\n") === expected;
}, people.join("\n"));

test("two people see each other, and speak", async () => {
  const ada = await enter("Ada");
  await shows(ada, "Ada (you)");
  const bob = await enter("Bob");
  await says(ada, "#messages li", "Bob is here");
  await shows(ada, "Ada (you)", "Bob");
  await shows(bob, "Ada", "Bob (you)");

  await say(ada, "hello: é € 😀");
  await say(bob, "hello yourself");
  for (const page of [ada, bob]) {
    await says(page, "#messages li", "Ada: hello: é € 😀");
    await says(page, "#messages li", "Bob: hello yourself");
  }
});

test("what is said to one, others do not hear", async () => {
  const [ada, bob, eve] = [await enter("Ada"), await enter("Bob"), await enter("Eve")];
  await shows(ada, "Ada (you)", "Bob", "Eve");
  await say(ada, "a secret", "Bob");
  for (const page of [ada, bob]) await says(page, "#messages .private", "Ada to Bob: a secret");
  // Eve would have heard it before this.
  await say(ada, "no secret");
  await says(eve, "#messages li", "Ada: no secret");
  assert.equal(await eve.locator("#messages li", { hasText: "a secret" }).count(), 0);
});

test("whoever closes the window has left", async () => {
  const [ada, bob] = [await enter("Ada"), await enter("Bob")];
  await shows(ada, "Ada (you)", "Bob");
  await bob.close();
  await says(ada, "#messages li", "Bob has left");
  await shows(ada, "Ada (you)");
});

test("a second login of the same name takes it over", async () => {
  const [first, bob] = [await enter("Ada"), await enter("Bob")];
  const second = await enter("Ada");
  await says(first, "#messages li", "closed with 4001: signed in elsewhere");
  // It does not come back by itself, for the two would throw each other out for ever.
  await first.locator("#signin").waitFor();
  await shows(second, "Ada (you)", "Bob");
  await shows(bob, "Ada", "Bob (you)");

  await say(bob, "for your eyes only", "Ada");
  await says(second, "#messages .private", "Bob to Ada: for your eyes only");
  assert.equal(await first.locator("#messages .private").count(), 0);
  assert.equal(await bob.locator("#messages li", { hasText: "Ada has left" }).count(), 0);
});

test("a name that is refused can be mended", async () => {
  const page = await open(browser, chat.page);
  pages.push(page);
  await signIn(page, "   ");
  await says(page, "#messages .error", "1 to 32 characters");
  await signIn(page, "Ada");
  await shows(page, "Ada (you)");
});

test("names and texts are text, whatever they look like", async () => {
  const html = "<img src=x onerror=alert(1)>";
  const [ada, mallory] = [await enter("Ada"), await open(browser, chat.page)];
  pages.push(mallory);
  // The page would show it as it is, but names of this kind are refused.
  await signIn(mallory, html);
  await says(mallory, "#messages .error", "letters and digits");
  await signIn(mallory, "O'Mallory");
  await shows(ada, "Ada (you)", "O'Mallory");
  await say(mallory, html);
  await says(ada, "#messages li", `O'Mallory: ${html}`);
  assert.equal(await ada.locator("img").count(), 0);
});

test("people are signed in again when the server is back", async () => {
  const [ada, bob] = [await enter("Ada"), await enter("Bob")];
  await chat.stop();
  for (const page of [ada, bob]) {
    await says(page, "#messages li", "closed with 1001");
    await shows(page);
  }
  chat = await Example.start("chat", "--listen", chat.host);
  await shows(ada, "Ada (you)", "Bob");
  await shows(bob, "Ada", "Bob (you)");
  await say(ada, "here we are again");
  await says(bob, "#messages li", "Ada: here we are again");
});
