import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../../extension/content/outbox.js";

/** A worker that stores what it is handed, unless told to fail, and a storage. */
function world() {
  const seen = {
    /** @type {import("../../../extension/content/outbox.js").Item[]} */
    stored: [],
    /** @type {Map<string, import("../../../extension/content/outbox.js").SavedOutbox>} */
    storage: new Map(),
    /** @type {(() => void)[]} */
    timers: [],
    /** @type {"works" | "fails" | "stores but does not answer"} */
    worker: "works",
    lost: 0,
  };
  const outbox = new Outbox("page", {
    ask: async ({ items, lost }) => {
      if (seen.worker === "fails") {
        throw new Error("no worker");
      }
      const last = seen.stored.at(-1)?.n ?? 0;
      seen.stored.push(...items.filter((item) => item.n > last));
      if (seen.worker !== "works") {
        throw new Error("the worker died before it answered");
      }
      seen.lost += lost;
      return { stored: seen.stored.at(-1)?.n ?? 0 };
    },
    save: async (key, value) => void seen.storage.set(key, value),
    remove: async (key) => void seen.storage.delete(key),
    later: (run) => void seen.timers.push(run),
    ts: () => 1_000,
    failed: () => {},
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { seen, outbox, settle };
}

/** @param {number} ts @returns {import("../../../extension/events.js").PageEvent} */
const tick = (ts) => ({ event_type: "watch_tick", event_ts: ts });
const saved = (/** @type {ReturnType<typeof world>["seen"]} */ seen) => seen.storage.get("outbox:page")?.items.map(({ n }) => n);

test("events go in order, and the storage is clean afterwards", async () => {
  const { seen, outbox, settle } = world();
  outbox.add([tick(1), tick(2)]);
  outbox.add([tick(3)]);
  await settle();

  assert.deepEqual(seen.stored.map(({ n }) => n), [1, 2, 3]);
  assert.deepEqual(seen.stored[0]?.event.event_id, "page-1");
  assert.equal(seen.storage.size, 0);
});

test("while the worker fails everything lies in storage; later it goes once", async () => {
  const { seen, outbox, settle } = world();
  seen.worker = "fails";
  outbox.add([tick(1)]);
  outbox.add([tick(2)]);
  await settle();
  assert.deepEqual(saved(seen), [1, 2]);

  seen.worker = "works";
  seen.timers.shift()?.();
  await settle();
  assert.deepEqual(seen.stored.map(({ n }) => n), [1, 2]);
  assert.equal(seen.storage.size, 0);
});

test("an answer that got lost makes no second event", async () => {
  const { seen, outbox, settle } = world();
  seen.worker = "stores but does not answer";
  outbox.add([tick(1)]);
  await settle();
  seen.worker = "works";
  seen.timers.shift()?.();
  await settle();

  assert.deepEqual(seen.stored.map(({ n }) => n), [1]);
  assert.equal(seen.storage.size, 0);
});

test("the running tick is kept under the number and id that it will have", async () => {
  const { seen, outbox, settle } = world();
  outbox.add([tick(1)]);
  await settle();
  outbox.keep([tick(2)]);
  assert.deepEqual(seen.storage.get("outbox:page"), { saved_ts: 1_000, items: [{ n: 2, event: { ...tick(2), event_id: "page-2" } }] });

  outbox.add([tick(3)]);
  await settle();
  assert.equal(seen.stored.at(-1)?.event.event_id, "page-2");
  assert.equal(seen.storage.size, 0);
});

test("what no worker takes for hours is bounded, and what was let go is told", async () => {
  const { seen, outbox, settle } = world();
  seen.worker = "fails";
  for (let i = 0; i < 2_100; i++) {
    outbox.add([tick(i)]);
  }
  await settle();
  assert.equal(saved(seen)?.length, 2_000);

  seen.worker = "works";
  seen.timers.shift()?.();
  for (let i = 0; i < 30; i++) {
    await settle();
  }
  assert.equal(seen.stored.length, 2_000);
  assert.equal(seen.lost, 100);
});

test("what is to be forgotten leaves nothing, and is not handed over later", async () => {
  const { seen, outbox, settle } = world();
  seen.worker = "fails";
  outbox.add([{ event_type: "watch_tick", event_ts: 1 }]);
  outbox.keep([{ event_type: "watch_tick", event_ts: 2 }]);
  await settle();
  outbox.drop();
  seen.worker = "works";
  seen.timers.forEach((run) => run());
  await settle();
  assert.deepEqual([seen.stored, [...seen.storage]], [[], []]);
});
