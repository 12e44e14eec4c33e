/** The service worker while the browser's own storage fails. One worker goes through all of it, in order. */
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";

/** What the worker finds in a browser: storage, a listener for messages, a button, a gateway, and a database that may fail. */
const seen = {
  badge: "",
  /** @type {any} */
  listener: null,
  /** @type {any[][]} */
  delivered: [],
  /** @type {IDBDatabase[]} */
  databases: [],
  damaged: true,
};

function area() {
  const held = new Map();
  return {
    get: async (/** @type {string | null} */ key) => (key === null ? Object.fromEntries(held) : { [key]: held.get(key) }),
    set: async (/** @type {object} */ values) => Object.entries(values).forEach(([key, value]) => held.set(key, value)),
    remove: async (/** @type {string | string[]} */ keys) => [keys].flat().forEach((key) => held.delete(key)),
  };
}

const ignored = { addListener: () => {} };
const chrome = {
  runtime: {
    id: "x",
    getURL: (/** @type {string} */ path) => `chrome-extension://x/${path}`,
    onMessage: { addListener: (/** @type {unknown} */ listener) => (seen.listener = listener) },
    onStartup: ignored,
    onInstalled: ignored,
  },
  storage: { local: area(), session: area() },
  alarms: { get: async () => ({}), onAlarm: ignored },
  action: {
    setBadgeBackgroundColor: async () => {},
    setBadgeText: async (/** @type {{text: string}} */ { text }) => (seen.badge = text),
    setTitle: async () => {},
  },
};
const open = indexedDB.open.bind(indexedDB);
indexedDB.open = (name, version) => {
  if (seen.damaged) {
    throw new Error("the profile is damaged");
  }
  const request = open(name, version);
  request.addEventListener("success", () => seen.databases.push(request.result));
  return request;
};
const fetch = async (/** @type {string} */ _address, /** @type {{body: string}} */ { body }) => {
  const { events } = JSON.parse(body);
  seen.delivered.push(events);
  return new Response(JSON.stringify({ ok: true, accepted: events.length, rejected: 0, errors: [] }));
};
Object.assign(globalThis, { chrome, fetch });
await import("../../../extension/background/main.js");

/**
 * @param {object} message
 * @returns {Promise<any>}
 */
const ask = (message) =>
  new Promise((resolve) => seen.listener(message, { url: "chrome-extension://x/options/options.html" }, resolve));

/** @param {number} n */
function hand(n, life = 0) {
  const event = { event_type: "context_missing", context_type: "channel", event_id: `page-${n}`, event_ts: n };
  return ask({ kind: "events", source: "page", items: [{ n, event }], lost: 0, life });
}
const waiting = async () => (await ask({ kind: "status" })).value.queue.waiting;

test("a database that cannot be opened is said on the button, and opened when it can be", async () => {
  assert.match((await ask({ kind: "hello" })).error, /damaged/);
  assert.equal(seen.badge, "!");

  seen.damaged = false;
  assert.deepEqual(await ask({ kind: "hello" }), { ok: true, value: { on: false, embeds: false, life: 0 } });
  assert.deepEqual(await hand(1), { ok: true, value: { stored: 1 } });
});

test("a database that the browser has closed is opened again", async () => {
  const database = /** @type {IDBDatabase} */ (seen.databases.at(-1));
  database.close();
  database.onclose?.(new Event("close"));

  assert.deepEqual(await hand(2), { ok: true, value: { stored: 2 } });
  assert.equal(await waiting(), 2);
});

test("on a full disk what waits is delivered", async () => {
  await ask({ kind: "change", change: { consented_ts: 1 } });
  const add = IDBObjectStore.prototype.add;
  IDBObjectStore.prototype.add = () => {
    throw new DOMException("the disk is full", "QuotaExceededError");
  };
  assert.match((await hand(3)).error, /disk is full/);
  IDBObjectStore.prototype.add = add;
  for (let turns = 0; turns < 100 && seen.delivered.length === 0; turns += 1) {
    await new Promise(setImmediate);
  }

  assert.deepEqual(seen.delivered.map((events) => events.length), [2]);
});

test("what a page hands over that has not heard of the forgetting is forgotten too", async () => {
  await ask({ kind: "forget" });

  assert.deepEqual(await hand(4), { ok: true, value: { stored: 4 } });
  assert.deepEqual(await hand(5, 1), { ok: true, value: { stored: 5 } });
  await ask({ kind: "deliver" });
  assert.deepEqual(seen.delivered.slice(1).flat().map((event) => event.event_id), ["page-5"]);
});
