// The workspace settings in a real browser: `scimctl serve` with a data file of its own, headless Chromium in front of it.
//
//     npm ci && node --test                                    in this folder, or a copy of it
//
// SCIMCTL      the program, target/debug/scimctl of the repository unless said
// METADATA     a directory's federation metadata, tests/saml/metadata.xml of the repository unless said
// CHROMIUM     the browser, /usr/bin/chromium unless said; none is downloaded
// SCREENSHOTS  where the pictures of the pages go, target/screenshots of the repository unless said
//
// One journey (journey.mjs) is gone by three hands: journey.test.mjs by mouse, with axe and pictures of each page in light,
// dark and on a phone; keyboard.test.mjs by keyboard alone; without_script.test.mjs without JavaScript, 360 px wide.
// stops.test.mjs is about the pages for those who may not come in, held.test.mjs about what the brake holds back. The pages
// are those of the menu: a new one is looked at without a word here. axe runs through the browser's own
// protocol, under the page's own policy.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import axe from "axe-core";
import { chromium } from "playwright-core";

const repository = path.resolve(import.meta.dirname, "../..");
const program = path.resolve(process.env.SCIMCTL ?? path.join(repository, "target/debug/scimctl"));
const pictures = path.resolve(process.env.SCREENSHOTS ?? path.join(repository, "target/screenshots"));

export const METADATA = path.resolve(process.env.METADATA ?? path.join(repository, "tests/saml/metadata.xml"));
export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

/** Asks until there is an answer, for as long as the endpoint may take to notice (a revoked token is known for 30 s). */
export async function until(what, ask, seconds = 45) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < end, `${what}: not within ${seconds} s`);
    await pause(250);
  }
}

/** The server, and the command line beside it. */
export class Server {
  static async start() {
    const server = new Server();
    server.folder = mkdtempSync(path.join(tmpdir(), "portal-"));
    const data = path.join(server.folder, "data.sqlite");
    const command = ["serve", "--port", "0", "--data", data, "--format", "json"];
    server.process = spawn(program, command, { stdio: ["ignore", "pipe", "inherit"] });
    server.ended = new Promise((resolve) => server.process.once("exit", resolve));
    const lines = createInterface({ input: server.process.stdout });
    const first = new Promise((resolve) => lines.once("line", resolve));
    const line = await Promise.race([first, server.ended]);
    assert.equal(typeof line, "string", `${program} serve has ended`);
    const { base_url, dynamodb_endpoint, environment } = JSON.parse(line);
    return Object.assign(server, { base: base_url, origin: new URL(base_url).origin, tables: dynamodb_endpoint, environment });
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs a command on the server's tables; its exit code and its one line of JSON. */
  async run(...words) {
    const { stdout } = await promisify(execFile)(program, [...words, "--format", "json"], { maxBuffer: 1 << 26 });
    return JSON.parse(stdout);
  }

  /** Runs a command of the team, on the server's tables. */
  admin(...words) {
    return this.run(...words, "--endpoint-url", this.tables);
  }

  /** A setup link, as `scimctl portal link` says it. */
  link(tenant, ...more) {
    return this.admin("portal", "link", tenant, ...more);
  }

  /** What the identity provider's Test Connection gets. */
  async probe(token) {
    const url = `${this.base}/Users?filter=userName+eq+%22${crypto.randomUUID()}%22`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    await answer.arrayBuffer();
    return answer.status;
  }
}

/** Chromium, and a context of it that has no word with anybody but the server. */
export async function browse(server, options = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"],
  });
  const context = await browser.newContext({ viewport: DESKTOP, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  // What the policy forbids, what is asked of others, and what fails in the script: all of it is a fault of the page.
  const faults = [];
  page.on("pageerror", (error) => faults.push(`script: ${error}`));
  page.on("console", (message) => {
    // A page with a status of 400 or above is told as an error, too; the tests know which ones they want.
    const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status of");
    if (message.type() === "error" && !isStatus) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.origin) && !url.startsWith("data:")) faults.push(`asked elsewhere: ${url}`);
  });
  return { browser, context, page, faults };
}

/** The page may be on its way to another one, or to itself. */
async function still(look) {
  for (let tries = 3; ; tries -= 1) {
    try {
      return await look();
    } catch (error) {
      if (tries === 0 || !/context was destroyed|navigat/i.test(String(error))) throw error;
    }
  }
}

// What axe knows of, and one that it leaves out unless asked.
const EVERYTHING = { rules: { "target-size": { enabled: true } } };
// What depends on colours.
const COLOURS = { runOnly: ["color-contrast", "link-in-text-block"] };

/** There is nothing that axe calls a violation. */
export async function accessible(page, name, options = EVERYTHING) {
  const violations = await still(async () => {
    if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(axe.source);
    return page.evaluate(async (said) => (await globalThis.axe.run(document, said)).violations, options);
  });
  const told = violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id} (${help})\n    ${html}\n    ${failureSummary.replaceAll("\n", "\n    ")}`),
  );
  assert.equal(told.length, 0, `axe on ${name}:\n  ${told.join("\n  ")}`);
}

/** Nothing is wider than the window. */
export async function fits(page, name) {
  const wide = await still(() =>
    page.evaluate(() => {
      const width = window.innerWidth;
      const beyond = [...document.querySelectorAll("body *")].filter(
        (node) => !node.closest(".scroll, .skip, .hidden") && node.getBoundingClientRect().right > width + 0.5,
      );
      const nodes = beyond.map((node) => node.outerHTML.slice(0, 120));
      return { scroll: document.documentElement.scrollWidth, width, nodes };
    }),
  );
  const told = `${name} is ${wide.scroll} px wide on ${wide.width} px:\n  ${wide.nodes.join("\n  ")}`;
  assert.ok(wide.scroll <= wide.width && wide.nodes.length === 0, told);
}

/** A picture of the page; of a long one its beginning. */
async function picture(page, name) {
  mkdirSync(pictures, { recursive: true });
  await still(async () => {
    const { width, height } = await page.evaluate(() => ({ width: innerWidth, height: document.documentElement.scrollHeight }));
    const clip = { x: 0, y: 0, width, height: Math.min(height, 2500) };
    await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true, clip });
  });
}

/** The page in light and dark and on a phone: axe, and a picture of each. */
export async function lookedAt(page, name) {
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, `${name}, dark`, COLOURS);
  await picture(page, `${name}-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await accessible(page, `${name}, light`);
  await picture(page, `${name}-light`);
  await page.setViewportSize(PHONE);
  await accessible(page, `${name}, on a phone`);
  await fits(page, name);
  await picture(page, `${name}-phone`);
  await page.setViewportSize(DESKTOP);
}

export const metadata = () => readFileSync(METADATA, "utf8");
export { pictures };
