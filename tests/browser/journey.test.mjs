// By mouse, with JavaScript, on a desk: each page in each state is looked at by axe in light, dark and on a phone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { journey } from "./journey.mjs";
import { accessible, browse, lookedAt, METADATA, pictures, Server } from "./stage.mjs";

test("one link carries an admin from nothing to a rotated token, and axe finds nothing", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const { browser, context, page, faults } = await browse(server);
  t.after(() => browser.close());
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: server.origin });

  let looks = 0;
  const hand = {
    page,
    press: (place) => place.click(),
    write: (place, text) => place.fill(text),
    choose: (place, text) => place.selectOption(text),
    give: (text) => {
      const file = { name: "metadata.xml", mimeType: "text/xml", buffer: Buffer.from(text ?? "") };
      return page.getByLabel("The file").setInputFiles(text === undefined ? METADATA : file);
    },
    // The page does so by itself.
    lookAgain: () => page.locator("[data-looks-again]").waitFor({ state: "detached" }),
    revealed: async (token) => {
      assert.equal(await page.getByLabel("Tenant URL").inputValue(), `${server.base}/?aadOptscim062020`);
      await page.locator("button[data-copies=secret]").click();
      await page.getByRole("status").getByText("Copied.").waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), token);
    },
    looked: async (name) => {
      looks += 1;
      await lookedAt(page, `${String(looks).padStart(2, "0")}-${name}`);
    },
  };
  await journey(hand, server, "newco");
  assert.deepEqual(faults, []);
  t.diagnostic(`${looks} pages and states, in light, dark and on a phone: ${pictures}`);
});

test("a revealed token is gone when the page is loaded again", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const { browser, page, faults } = await browse(server);
  t.after(() => browser.close());
  const { url } = await server.link("newco");
  await page.goto(url);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("navigation").getByRole("link", { name: "Tokens" }).click();
  await page.getByRole("button", { name: "Reveal a token" }).click();
  const token = await page.getByLabel("Secret token").inputValue();

  // The browser sends the form again: nothing is shown, and no second token comes of it.
  await page.reload();
  await page.getByText("This form was sent already").waitFor();
  assert.ok(!(await page.content()).includes(token));
  await accessible(page, "the token's page, loaded again");
  // Nor by going back to it.
  await page.goto(`${server.origin}/portal/tokens`);
  assert.equal(await page.locator(".cards > li").count(), 1);
  await page.goBack();
  assert.ok(!(await page.content()).includes(token));
  assert.deepEqual(faults, []);
});
