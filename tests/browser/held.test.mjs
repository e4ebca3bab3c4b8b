// What the brake on mass changes holds back: seen, and decided on without JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";

import { browse, fits, lookedAt, PHONE, Server } from "./stage.mjs";

/** A tenant in which eight people were deleted at once, and a brake that lets two of them pass. */
async function pulled(server, tenant) {
  const { url } = await server.link(tenant);
  await server.admin("tenant", "enable", tenant);
  await server.admin("brake", "set", tenant, "--count", "1", "--budget", "1");
  const { token } = await server.admin("token", "issue", tenant);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/scim+json" };
  for (let number = 0; number < 8; number += 1) {
    const schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
    // Wider than a phone, with nowhere to break.
    const userName = `${"leaver".repeat(12)}${number}@ex.test`;
    const made = await fetch(`${server.base}/Users`, { method: "POST", headers, body: JSON.stringify({ schemas, userName }) });
    assert.equal(made.status, 201);
    const { id } = await made.json();
    const deleted = await fetch(`${server.base}/Users/${id}`, { method: "DELETE", headers });
    assert.equal(deleted.status, 204);
  }
  return url;
}

/** The page that shows it, from the link on. */
async function open(page, url) {
  await page.goto(url);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("nav[aria-label=Settings] a[href$='/held']").click();
  await page.getByText("held back from the application until somebody decides").waitFor();
  assert.ok((await page.locator("main tbody tr").count()) >= 4);
}

test("what is held is shown, and released", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const url = await pulled(server, "acme");
  const { browser, page, faults } = await browse(server);
  t.after(() => browser.close());
  await open(page, url);
  await lookedAt(page, "held");
  await page.getByRole("button", { name: "Release what is held" }).click();
  await page.getByRole("status").getByText("To release what was held is decided.").waitFor();
  await lookedAt(page, "held-decided");
  assert.deepEqual(faults, []);
});

test("what is held is rejected without JavaScript, 360 px wide, and only with a word on it", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const url = await pulled(server, "acme");
  const { browser, page, faults } = await browse(server, { javaScriptEnabled: false, viewport: PHONE });
  t.after(() => browser.close());
  await open(page, url);
  await fits(page, "what is held");
  const reject = page.getByRole("button", { name: "Reject what is held" });
  await reject.click();
  assert.equal(await page.getByText("is decided.").count(), 0);
  await page.getByLabel("The directory has been put right").check();
  await reject.click();
  await page.getByRole("status").getByText("To reject what was held is decided.").waitFor();
  await fits(page, "what is decided");
  assert.deepEqual(faults, []);
});
