// The journey of a customer's admin, from the link to the end of the session. Whose hand goes it is not known here: `hand`
// presses, writes, chooses and gives, and `hand.looked(name)` is called on each page in each of its states.

import assert from "node:assert/strict";

import { until } from "./stage.mjs";

const says = (page, text) => page.locator("main").getByText(text).first().waitFor();
const link = (page, name) => page.locator("main").getByRole("link", { name });
const button = (page, name) => page.getByRole("button", { name });

/** Follows an entry of the menu. */
async function to(hand, name) {
  const entry = hand.page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name, exact: true });
  await hand.press(entry);
  await hand.page.locator("nav[aria-label=Settings] a[aria-current=page]").getByText(name, { exact: true }).waitFor();
}

/** Every page of the menu, as it is now. */
export async function tour(hand, when) {
  const names = await hand.page.locator("nav[aria-label=Settings] a").allTextContents();
  assert.ok(names.length >= 9, `the menu has ${names}`);
  for (const name of names) {
    await to(hand, name);
    await hand.looked(`${name.replaceAll(/\W/g, "").toLowerCase()}-${when}`);
  }
}

/** From the link into the settings. A mail scanner was there before. */
async function enter(hand, server, tenant) {
  const { page } = hand;
  const { url } = await server.link(tenant, "--expires", "12h", "--label", "Kim");
  for (const scanner of ["mail scanner", "another mail scanner"]) {
    const answer = await fetch(url, { headers: { "user-agent": scanner } });
    assert.equal(answer.status, 200);
    assert.ok((await answer.text()).includes("Continue"));
    assert.equal(answer.headers.get("set-cookie"), null);
  }
  await page.goto(url);
  await says(page, `Set up ${tenant}`);
  await hand.looked("link");
  await hand.press(button(page, "Continue"));
  await page.waitForURL(`${server.origin}/portal`);
  await says(page, "waiting for first contact");
  return url;
}

/** The sign-in first, then the switch. */
async function enable(hand) {
  const { page } = hand;
  await to(hand, "Provisioning");
  await hand.press(button(page, "Enable SCIM provisioning"));
  await says(page, "The sign-in is not set up.");
  await hand.looked("provisioning-too-early");
  await hand.press(link(page, "Open the settings"));
  await to(hand, "Sign-in");
  await hand.give("<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='x'/>");
  await hand.press(button(page, "Check and keep"));
  await says(page, "These metadata were not taken");
  await hand.looked("signin-not-taken");
  await hand.give();
  await hand.press(button(page, "Check and keep"));
  await says(page, "A real sign-in has not been seen yet");
  await says(page, "https://sts.windows.net/");
  await hand.looked("signin-described");
  await to(hand, "Test");
  await says(page, "SCIM provisioning is switched off");
  await to(hand, "Provisioning");
  await hand.press(button(page, "Enable SCIM provisioning"));
  await says(page, "Your identity provider's calls are served.");
}

/** A token, seen once. */
async function reveal(hand, label) {
  const { page } = hand;
  await to(hand, "Tokens");
  await hand.write(page.getByLabel("What it is for"), label);
  await hand.choose(page.getByLabel("Valid for"), "90 days");
  await hand.press(button(page, "Reveal a token"));
  const field = page.getByLabel(`Secret token (“${label}”`);
  await field.waitFor();
  const token = await field.inputValue();
  assert.match(token, /^scim_[a-z0-9]{50,}$/);
  await hand.revealed(token);
  await hand.looked(`token-${label}`);
  await to(hand, "Tokens");
  await page.getByRole("heading", { name: `${label} …${token.slice(-2)}` }).waitFor();
  assert.ok(!(await page.content()).includes(token), "it is shown once");
  return token;
}

/** What to paste, and the first call. */
async function connect(hand, server, token) {
  const { page } = hand;
  await to(hand, "What to paste");
  assert.equal(await page.getByLabel("Tenant URL").inputValue(), `${server.base}/?aadOptscim062020`);
  const tabs = await page.locator("nav[aria-label='Identity provider'] a").allTextContents();
  assert.equal(tabs.length, 4);
  for (const tab of tabs) {
    await hand.press(page.getByRole("navigation", { name: "Identity provider" }).getByRole("link", { name: tab }));
    await page.locator("nav[aria-label='Identity provider'] a[aria-current=page]").getByText(tab).waitFor();
    if (tab !== tabs[0]) await hand.looked(`connect-${tab.replaceAll(/\W/g, "").toLowerCase()}`);
  }
  await to(hand, "Test");
  await says(page, "has not called with a live token yet");
  await hand.looked("test-waiting");
  assert.equal(await server.probe("scim_no-such-token"), 401);
  await says(page, "has not called with a live token yet");
  assert.equal(await server.probe(token), 200);
  await hand.lookAgain();
  await says(page, "and was let in.");
}

/** What the log, one person's page and health say after two cycles. */
async function watch(hand, server, tenant, token) {
  const { page } = hand;
  const run = await server.run(
    ...["simulate", "--url", `${server.base}/?aadOptscim062020`, "--token", token],
    ...["--users", "30", "--groups", "3", "--cycles", "2", "--keep"],
  );
  assert.ok(run.good && run.job.health === "healthy", JSON.stringify(run.job));
  const { users } = await server.admin("tenant", "show", tenant);
  assert.ok(users >= 30, `${users} people`);

  await to(hand, "Log");
  await until("the log has a whole page", async () => {
    await page.reload();
    return (await page.locator("main tbody tr").count()) >= 50;
  });
  const newest = await page.locator("main tbody tr").first().innerText();
  await hand.press(link(page, "Older"));
  await page.waitForURL(/before=/);
  assert.notEqual(await page.locator("main tbody tr").first().innerText(), newest);
  await hand.looked("log-older");
  await to(hand, "Log");
  await hand.choose(page.getByLabel("Action"), "create");
  await hand.press(button(page, "Filter"));
  await page.waitForURL(/action=create/);
  const name = (await page.locator("main tbody td:nth-child(2) bdi").allTextContents()).find((told) => told.includes("@"));
  assert.ok(name, "somebody was created");
  await hand.write(page.getByLabel("Person or group"), name);
  await hand.press(button(page, "Filter"));
  await page.waitForURL(/who=[^&]/);
  const names = await page.locator("main tbody td:nth-child(2) bdi").allTextContents();
  assert.ok(names.length > 0 && names.every((told) => told === name), `${names}`);
  await hand.looked("log-filtered");

  await to(hand, "Why?");
  await hand.write(page.getByRole("searchbox"), name);
  await hand.press(button(page, "Look"));
  await page.getByRole("heading", { name, exact: true }).waitFor();
  assert.match(await page.getByRole("region", { name: "Answer" }).innerText(), /is here/);
  await hand.looked("why-answered");
  await to(hand, "Health");
  await says(page, "initial");
  await says(page, String(users));
}

/** Revokes a token on the page that lists them. */
async function revoke(hand, label, name) {
  const { page } = hand;
  await to(hand, "Tokens");
  const card = page.locator(".cards > li").filter({ has: page.getByRole("heading", { name: label }) });
  await hand.press(card.locator("summary"));
  await card.getByText("This cannot be taken back.").waitFor();
  await hand.looked(name);
  await hand.press(card.getByRole("button", { name: "Revoke this token" }));
  await page.locator("main h2", { hasText: "Dead" }).waitFor();
  assert.equal(await card.count(), 0);
}

/** A second token, then without the first, then without any. */
async function rotate(hand, server, first) {
  const { page } = hand;
  const second = await reveal(hand, "second");
  assert.equal(await server.probe(second), 200);
  await revoke(hand, "first", "tokens-revoking");
  await hand.looked("tokens-revoked");
  await until("the revoked token is refused", async () => (await server.probe(first)) === 401);
  assert.equal(await server.probe(second), 200);
  await to(hand, "Test");
  await until("the dead token is told of", async () => {
    await page.reload();
    return page.getByText(`A token ending in …${first.slice(-2)} was refused at`).isVisible();
  });
  await says(page, "and was let in.");
  await hand.looked("test-dead-token");
  await revoke(hand, "second", "tokens-revoking-the-last");
  await says(page, "There is no live token.");
  await hand.looked("tokens-none");
  await until("the second one is refused", async () => (await server.probe(second)) === 401);
}

/** Everything. */
export async function journey(hand, server, tenant) {
  const { page } = hand;
  const url = await enter(hand, server, tenant);
  await tour(hand, "before");
  await enable(hand);
  const first = await reveal(hand, "first");
  await connect(hand, server, first);
  await watch(hand, server, tenant, first);
  await tour(hand, "synced");
  await rotate(hand, server, first);
  await to(hand, "Provisioning");
  await hand.press(button(page, "Disable SCIM provisioning"));
  await says(page, "Your identity provider's calls are refused (403).");
  await tour(hand, "after");
  await hand.press(button(page, "End the session"));
  await says(page, "The session is over");
  await hand.looked("left");
  await page.goto(`${server.origin}/portal`);
  await says(page, "No open session");
  await page.goto(url);
  await says(page, "This setup link was opened at");
}
