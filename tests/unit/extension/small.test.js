import assert from "node:assert/strict";
import { test } from "node:test";
import { abandoned } from "../../../extension/background/recover.js";
import { DEFAULTS, hostPattern, measureOf, parseAddress } from "../../../extension/background/settings.js";
import { ago, droppedWords, duration, topChannels } from "../../../extension/wording.js";

test("outboxes of dead pages are found, others left alone", () => {
  const items = [{ n: 1, event: {} }];
  const stored = {
    "outbox:dead": { saved_ts: 10, items },
    "outbox:forgotten": { saved_ts: 10, items, life: 1 },
    "outbox:alive": { saved_ts: 100, items },
    settings: { saved_ts: 1 },
  };
  assert.deepEqual(abandoned(stored, 50), [
    { key: "outbox:dead", source: "dead", items, life: 0 },
    { key: "outbox:forgotten", source: "forgotten", items, life: 1 },
  ]);
});

test("nothing is measured before a yes, nor while paused", () => {
  assert.equal(measureOf(DEFAULTS).on, false);
  assert.equal(measureOf({ ...DEFAULTS, consented_ts: 1 }).on, true);
  assert.equal(measureOf({ ...DEFAULTS, consented_ts: 1, paused: true }).on, false);
});

test("addresses as people type them", () => {
  assert.equal(parseAddress(" http://127.0.0.1:4000/ "), "http://127.0.0.1:4000");
  assert.equal(parseAddress("https://Watch.Example/in/"), "https://watch.example/in");
  for (const wrong of ["", "watch.example", "ftp://x", "javascript:alert(1)", "http://me:pw@x", "http://x/?a=1"]) {
    assert.throws(() => parseAddress(wrong), Error, wrong);
  }
  assert.equal(hostPattern("http://127.0.0.1:4000"), "http://127.0.0.1/*");
});

test("words", () => {
  assert.deepEqual([0, 59_999, 60_000, 3_599_999, 3_900_000].map(duration), ["0 min", "under 1 min", "1 min", "59 min", "1 h 05 min"]);
  assert.equal(ago(0, 30_000), "just now");
  assert.equal(ago(0, 120_000), "2 min ago");
  assert.equal(droppedWords({}), null);
  assert.equal(droppedWords({ a: 1, b: 2 }), "3 events could not be delivered: a (1), b (2).");
  assert.deepEqual(topChannels({ a: 1, b: 3, c: 2 }, 2), [{ name: "b", ms: 3 }, { name: "c", ms: 2 }]);
});
