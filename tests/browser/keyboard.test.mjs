// By keyboard alone: Tab, Shift+Tab, Enter, Space, arrows and writing. Where the keyboard is can always be seen.

import assert from "node:assert/strict";
import { test } from "node:test";

import { journey } from "./journey.mjs";
import { browse, metadata, Server } from "./stage.mjs";

// More than any page has places to go to.
const PLACES_MAX = 80;

/** Goes on to a place, or to the first one that fits. */
async function reach(page, place) {
  const wanted = await place.elementHandle();
  for (let steps = 0; steps < PLACES_MAX; steps += 1) {
    const here = await page.evaluate((node) => {
      const at = document.activeElement;
      const style = getComputedStyle(at);
      const box = at.getBoundingClientRect();
      return {
        isWanted: at === node,
        isBody: at === document.body,
        name: at.outerHTML.slice(0, 120),
        outline: style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth),
        isOnScreen: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
      };
    }, wanted);
    if (!here.isBody) {
      assert.ok(here.outline >= 2, `nothing shows that the keyboard is at ${here.name}`);
      assert.ok(here.isOnScreen, `the keyboard is out of sight at ${here.name}`);
    }
    if (here.isWanted) return wanted;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${place} is not reached by ${PLACES_MAX} times Tab`);
}

test("the whole journey by keyboard alone", async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const { browser, page, faults } = await browse(server);
  t.after(() => browser.close());

  let presses = 0;
  const hand = {
    page,
    press: async (place) => {
      const at = await reach(page, place);
      // A button takes both keys.
      const isButton = await at.evaluate((node) => node.matches("button, summary"));
      presses += 1;
      await page.keyboard.press(isButton && presses % 2 === 0 ? "Space" : "Enter");
    },
    write: async (place, text) => {
      const at = await reach(page, place);
      await page.keyboard.press("Control+A");
      await page.keyboard.type(text);
      assert.equal(await at.inputValue(), text);
    },
    choose: async (place, text) => {
      const at = await reach(page, place);
      await page.keyboard.type(text);
      assert.equal(await at.evaluate((node) => node.selectedOptions[0].text), text);
    },
    // Pasted: the choice of a file belongs to the system.
    give: async (text) => {
      await reach(page, page.getByLabel("or its text"));
      await page.keyboard.insertText(text ?? metadata());
    },
    // The page does so by itself, and leaves the keyboard where it is.
    lookAgain: async () => {
      const end = await reach(page, page.getByRole("button", { name: "End the session" }));
      await page.locator("[data-looks-again]").waitFor({ state: "detached" });
      assert.ok(await end.evaluate((node) => document.activeElement === node), "the page took the keyboard away");
    },
    revealed: async (token) => {
      await reach(page, page.getByLabel("Secret token"));
      assert.equal(await page.evaluate(() => document.activeElement.value), token);
      await hand.press(page.locator("button[data-copies=secret]"));
      await page.getByRole("status").getByText("opied").waitFor();
    },
    looked: async (name) => {
      // From the top of each page one key shows the way past the menu, and it leads there.
      if (!name.endsWith("-before")) return;
      await page.reload();
      await page.keyboard.press("Tab");
      const skip = page.getByRole("link", { name: "To the content" });
      await reach(page, skip);
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      const isInside = await page.evaluate(() => document.querySelector("main").contains(document.activeElement));
      const hasPlaces = await page.locator("main").locator("a, button, input, select, textarea, summary, [tabindex]").count();
      assert.ok(isInside || hasPlaces === 0, `${name}: the way past the menu leads elsewhere`);
      await page.goto(page.url().split("#")[0]);
    },
  };
  await journey(hand, server, "keys");
  assert.deepEqual(faults, []);
});
