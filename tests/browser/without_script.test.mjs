// Without JavaScript, on a screen of 360 px: everything works, and nothing is wider than the screen.

import assert from "node:assert/strict";
import { test } from "node:test";

import { journey } from "./journey.mjs";
import { browse, fits, METADATA, PHONE, Server } from "./stage.mjs";

test("the whole journey without JavaScript, 360 px wide", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const options = { javaScriptEnabled: false, viewport: PHONE, hasTouch: true, isMobile: true };
  const { browser, page, faults } = await browse(server, options);
  t.after(() => browser.close());

  const hand = {
    page,
    press: (place) => place.tap(),
    write: (place, text) => place.fill(text),
    choose: (place, text) => place.selectOption(text),
    give: (text) =>
      text === undefined ? page.getByLabel("The file").setInputFiles(METADATA) : page.getByLabel("or its text").fill(text),
    lookAgain: () => page.getByRole("link", { name: "Look again" }).tap(),
    // No button that would do nothing.
    revealed: async () => assert.equal(await page.getByRole("button", { name: "Copy" }).count(), 0),
    looked: (name) => fits(page, name),
  };
  await journey(hand, server, "phone");
  assert.deepEqual(faults, []);
});
