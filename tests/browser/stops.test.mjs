// The pages for those who may not come in: each says why, and who can help.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { accessible, browse, lookedAt, Server } from "./stage.mjs";

let server;
let window;

before(async () => {
  server = await Server.start();
});
after(() => server.stop());
beforeEach(async () => {
  window = await browse(server);
});
afterEach(() => window.browser.close());

/** The page that is shown at an address, and that it is fit to be shown. */
async function shown(url, status, heading, ...sentences) {
  const { page } = window;
  const answer = await page.goto(url);
  assert.equal(answer.status(), status);
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), heading);
  const text = await page.locator("main").innerText();
  for (const sentence of sentences) assert.ok(text.includes(sentence), `${text}\n  does not say: ${sentence}`);
  await lookedAt(page, `stop-${heading.replaceAll(/\W+/g, "-").toLowerCase()}`);
}

const ASK = "The team that runs this service makes one with: scimctl portal link acme";

/** Writes an item as the endpoint would have, had the time gone by. */
async function end(link) {
  const secret = link.url.split("/").at(-1);
  const digest = createHash("sha256").update(secret).digest("hex");
  const call = (target, body) =>
    fetch(server.tables, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": `DynamoDB_20120810.${target}`,
        "x-amz-date": "20260101T000000Z",
        authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
      },
      body: JSON.stringify(body),
    }).then(async (answer) => {
      assert.equal(answer.status, 200, `${target}: ${await answer.clone().text()}`);
      return answer.json();
    });
  const table = { TableName: server.environment.SECRETS_TABLE };
  const { Items } = await call("Scan", table);
  const row = Items.find((item) => Object.values(item).some(({ S }) => S === digest));
  assert.ok(row, "the link has a row");
  await call("PutItem", { ...table, Item: { ...row, validUntil: { S: "2026-01-02T03:04:05.000Z" } } });
}

test("a link that nobody made", async () => {
  await shown(`${server.origin}/portal/s/scimlink_${"a".repeat(55)}`, 404, "Unknown setup link", "copy the whole of it");
});

test("a link whose time is over", async () => {
  const link = await server.link("acme");
  await end(link);
  await shown(link.url, 410, "Expired", "could be opened until 2026-01-02 03:04:05 UTC", ASK);
});

test("a link that was revoked", async () => {
  const link = await server.link("acme");
  await server.admin("portal", "revoke", "acme", link.link_id);
  await shown(link.url, 410, "Revoked", "was revoked at", ASK);
});

test("a link that was opened already", async () => {
  const { page, context } = window;
  const { url } = await server.link("acme");
  await page.goto(url);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(`${server.origin}/portal`);
  // Nor in another browser.
  await context.clearCookies();
  await shown(url, 410, "Used already", "This setup link was opened at", ASK);
});

test("a link that is revoked while its page is open, and one that ends a session", async () => {
  const { page } = window;
  const link = await server.link("acme");
  await page.goto(link.url);
  await server.admin("portal", "revoke", "acme", link.link_id);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "Revoked" }).waitFor();
  await accessible(page, "revoked before Continue");

  const other = await server.link("acme");
  await page.goto(other.url);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(`${server.origin}/portal`);
  await server.admin("portal", "revoke", "acme", other.link_id);
  await page.reload();
  await page.getByRole("heading", { name: "No open session" }).waitFor();
});

test("nobody without a session, and nothing at other addresses", async () => {
  await shown(`${server.origin}/portal`, 401, "No open session", "ask whoever sent you the setup link for a new one");
  await shown(`${server.origin}/portal/tokens`, 401, "No open session");
  await shown(`${server.origin}/portal/nothing`, 404, "Nothing here", "There is nothing at this address.");
});
