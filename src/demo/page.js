// Draws what the stream says. Each message is everything; an element is made once and then only changed.
"use strict";

const byId = (id) => document.getElementById(id);

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null));
  return element;
}

const pill = (text, kind) => make("span", `pill ${kind ?? ""}`, text);
const initials = (name) => name.split(" ").map((word) => word[0]).slice(0, 2).join("");

function session(person) {
  if (person.sessions) return pill("signed in", "good");
  return person.ended ? pill("session ended", "bad") : pill("not signed in");
}

function card(person, index) {
  const face = make("span", `face c${index % 6}`, initials(person.name));
  const who = make("div", "who", face, make("div", "", make("b", "", person.name), make("small", "", person.login)));
  const role = person.open ? pill(person.role, person.role === "admin" ? "role" : "") : pill("account closed", "bad");
  const groups = make("small", "", person.groups.join(", ") || "in no group");
  return [who, make("div", "pills", session(person), role), groups];
}

function line(entry) {
  const events = entry.events.map((name, index) => make(index === entry.events.length - 1 ? "b" : "span", "", name));
  const code = make("code", "", ...events.flatMap((event) => [event, " "]));
  const done = entry.acknowledged ? pill(`acknowledged after ${entry.acknowledged}`, "good") : null;
  return [make("time", "", entry.time), code, make("div", "", make("b", "", entry.who), ` ${entry.did} `, done)];
}

const shown = new Map(); // what an element was last drawn from, so that only what has changed is drawn

function draw(list, entries, keyOf, contentOf, classOf) {
  const keys = new Set(entries.map(keyOf));
  for (const element of [...list.children]) if (!keys.has(element.dataset.key)) element.remove();
  entries.forEach((entry, index) => {
    const key = keyOf(entry), text = JSON.stringify(entry);
    let element = [...list.children].find((child) => child.dataset.key === key);
    if (!element) {
      element = document.createElement("li");
      element.dataset.key = key;
    }
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    if (shown.get(element) === text) return;
    shown.set(element, text);
    element.className = classOf(entry);
    element.replaceChildren(...contentOf(entry, index));
  });
}

function show(state) {
  byId("say").textContent = state.say;
  byId("again").hidden = !state.ended;
  byId("progress").max = state.of || 1;
  byId("progress").value = state.step;
  byId("progress").hidden = state.ended;
  byId("count").textContent = state.people.length || "";
  byId("nobody").hidden = state.people.length > 0;
  byId("nothing").hidden = state.log.length > 0;
  draw(byId("people"), state.people, (person) => person.id, card, (person) => (person.open ? "" : "closed"));
  const left = (entry) => (entry.events.includes("user.deactivated") ? "left" : "");
  draw(byId("log"), state.log, (entry) => `${entry.time} ${entry.events} ${entry.who}`, line, left);
}

const stream = new EventSource("/events");
stream.onmessage = (message) => show(JSON.parse(message.data));
stream.onopen = () => Object.assign(byId("link"), { textContent: "listening", className: "pill good" });
stream.onerror = () => Object.assign(byId("link"), { textContent: "the demo has ended", className: "pill bad" });
byId("again").addEventListener("click", () => fetch("/play", { method: "POST" }));
