/** The gateway's own table of verdicts (tests/cases/verdicts.json), read from the side of who makes the events. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventBytes, MAX_DELTA_MS, MAX_EVENT_BYTES, wireEvent } from "../../../extension/events.js";
import { ScriptedPlayer } from "./player.js";

/** @typedef {{name: string, type?: string, repeat?: Record<string, [string, number]>, pad?: number, error: string | null}} Case */
/** @type {{base: Record<string, any>, cases: Case[]}} */
const { base, cases } = JSON.parse(readFileSync(new URL("../../cases/verdicts.json", import.meta.url), "utf8"));

const SENDER = { client_session_id: "client", tab_id: "7", seq_epoch: "run", seq: 0 };

for (const { name, type, repeat = {}, error } of cases) {
  const field = /^(\w+) too long$/.exec(error ?? "")?.[1];
  if (!type || !field) {
    continue;
  }
  test(`cut to fit: ${name}`, () => {
    const [letter, times] = repeat[field] ?? ["", 0];
    const sender = { ...SENDER, ...(field in SENDER ? { [field]: letter.repeat(times) } : {}) };
    const wire = /** @type {any} */ (wireEvent({ ...base[type], [field]: letter.repeat(times) }, sender));
    assert.equal(wire[field], letter.repeat(times - 1));
  });
}

for (const { name, type, repeat, error } of cases) {
  if (error !== null || !type || !repeat || name.includes("bytes")) {
    continue;
  }
  test(`left as it is: ${name}`, () => {
    for (const [field, [letter, times]] of Object.entries(repeat).filter(([known]) => known in base[type])) {
      const sender = { ...SENDER, ...(field in SENDER ? { [field]: letter.repeat(times) } : {}) };
      const wire = /** @type {any} */ (wireEvent({ ...base[type], [field]: letter.repeat(times) }, sender));
      assert.equal(wire[field], letter.repeat(times));
    }
  });
}

test("the largest event accepted is the largest that is queued", () => {
  const pads = cases.filter(({ error, pad }) => pad && (error === null || error === "event too large"));
  assert.ok(pads.length >= 2);
  for (const { error, pad = 0 } of pads) {
    assert.equal(pad > MAX_EVENT_BYTES, error !== null);
  }
  assert.equal(eventBytes({ name: "中" }), 14);
});

test("every kind of event is made, each with what its type demands", () => {
  const player = new ScriptedPlayer().play(20).see({}, { visible: false }).pause().play(3);
  player.see({ id: "bbbbbbbbbbb", src: "2", position_s: 0, channel: null }).play(5, { channel: null }).close();
  const events = player.events.map((event, i) => wireEvent({ event_id: `page-${i}`, ...event }, SENDER));

  assert.deepEqual(new Set(events.map(({ event_type }) => event_type)), new Set(Object.keys(base)));
  for (const event of events) {
    const demanded = cases.flatMap(({ error }) => new RegExp(`^missing (\\w+)( for ${event.event_type})?$`).exec(error ?? "")?.[1] ?? []);
    for (const field of demanded.filter((name) => name in base[event.event_type])) {
      assert.notEqual(/** @type {any} */ (event)[field], undefined, `${field} of ${event.event_type}`);
    }
    for (const [name, value] of Object.entries(event)) {
      const type = base[event.event_type][name];
      assert.ok(type === undefined || typeof type === typeof value, name);
    }
    const delta = event.watch_ms_delta;
    assert.ok(delta === undefined || (Number.isInteger(delta) && delta >= 1 && delta <= MAX_DELTA_MS));
    assert.ok(Number.isInteger(event.event_ts));
  }
});
