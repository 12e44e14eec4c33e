import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue, TOO_LARGE, TOO_MANY, TOO_OLD } from "../../../extension/background/queue.js";

const NOW = Date.UTC(2026, 10, 24, 12);
const DAY = 86_400_000;
let databases = 0;

/** @param {string} [epoch] */
async function fresh(epoch = "run-1") {
  const name = `queue-${++databases}`;
  const queue = await Queue.open(name);
  await queue.begin(epoch);
  return { queue, name };
}

/** @param {number} n */
const item = (n, more = {}) => ({
  n,
  event: /** @type {import("../../../extension/events.js").PageEvent} */ ({
    event_type: "watch_tick",
    event_ts: NOW,
    event_id: `page-${n}`,
    video_id: "aaaaaaaaaaa",
    video_session_id: "view",
    watch_ms_delta: 10_000,
    watch_mode: "foreground",
    channel_name: "One",
    tz_offset_min: 0,
    ...more,
  }),
});

/** @param {Queue} queue @param {ReturnType<typeof item>[]} items */
const add = (queue, items, now_ts = NOW, source = "page") => queue.add({ source, items, tab_id: "7", now_ts });

test("each event gets its place in the run, once, however often the page asks", async () => {
  const { queue } = await fresh();
  assert.equal(await add(queue, [item(1), item(2)]), 2);
  assert.equal(await add(queue, [item(1), item(2), item(3)]), 3);
  assert.equal(await add(queue, [item(1)], NOW, "another page"), 1);

  const events = (await queue.oldest(10)).map(({ event }) => event);
  assert.deepEqual(events.map(({ seq }) => seq), [0, 1, 2, 3]);
  assert.deepEqual(new Set(events.map(({ seq_epoch }) => seq_epoch)), new Set(["run-1"]));
  assert.equal(new Set(events.map(({ client_session_id }) => client_session_id)).size, 1);
  assert.equal((await queue.day("2026-11-24")).fg_ms, 40_000);
  assert.deepEqual(await queue.all(), events, "the export");
});

test("numbers go on after the worker died; a new run of the browser starts a new epoch, old events keep theirs", async () => {
  const { queue, name } = await fresh();
  await add(queue, [item(1)]);
  queue.close();
  const again = await Queue.open(name);
  await add(again, [item(2)]);
  await again.begin("run-2");
  await add(again, [item(3)]);

  const order = (await again.oldest(10)).map(({ event }) => [event.seq_epoch, event.seq]);
  assert.deepEqual(order, [["run-1", 0], ["run-1", 1], ["run-2", 0]]);
});

test("a queue without a counter makes itself an epoch", async () => {
  const queue = await Queue.open(`queue-${++databases}`);
  await add(queue, [item(1)]);

  assert.match((await queue.oldest(1))[0]?.event.seq_epoch ?? "", /^[0-9a-f-]{36}$/);
});

test("delivered events go, in any order, and dropped ones are counted by reason", async () => {
  const { queue } = await fresh();
  await add(queue, [item(1), item(2), item(3)]);
  const [first, second] = await queue.oldest(2);
  await queue.remove([first?.key ?? 0]);
  await queue.remove([second?.key ?? 0], { "missing X": 1 });

  assert.deepEqual((await queue.oldest(10)).map(({ event }) => event.event_id), ["page-3"]);
  assert.deepEqual((await queue.state()).dropped, { "missing X": 1 });
  await queue.clearDropped();
  assert.deepEqual((await queue.state()).dropped, {});
});

test("too many and too old: the oldest go, counted", async () => {
  const { queue } = await fresh();
  await add(queue, [item(1), item(2)], NOW - 15 * DAY);
  await add(queue, [3, 4, 5, 6, 7].map((n) => item(n)));
  await queue.trim(NOW, { keep_events: 6 });
  assert.deepEqual((await queue.state()).dropped, { [TOO_MANY]: 1, [TOO_OLD]: 1 });

  await queue.trim(NOW, { keep_events: 2 });
  assert.deepEqual((await queue.oldest(10)).map(({ event }) => event.event_id), ["page-6", "page-7"]);
  assert.deepEqual((await queue.state()).dropped, { [TOO_MANY]: 4, [TOO_OLD]: 1 });
});

test("sums of days that nobody is shown any more go", async () => {
  const { queue } = await fresh();
  const days = ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"];
  await add(queue, days.map((day, i) => item(i + 1, { event_ts: Date.parse(day) })));
  await queue.trim(NOW);

  const sums = await Promise.all(days.map(async (day) => (await queue.day(day)).fg_ms));
  assert.deepEqual(sums, [0, 0, 10_000, 10_000, 10_000]);
});

test("an event that the gateway would never take is not queued", async () => {
  const { queue } = await fresh();
  await add(queue, [item(1, { odd: Array(2_000).fill("0123456789") }), item(2)]);

  assert.deepEqual((await queue.oldest(10)).map(({ event }) => [event.event_id, event.seq]), [["page-2", 0]]);
  assert.deepEqual((await queue.state()).dropped, { [TOO_LARGE]: 1 });
});

test("over-long and broken text is made to fit", async () => {
  const { queue } = await fresh();
  await add(queue, [item(1, { channel_name: "\u{1f600}".repeat(300), url: `x\ud800${"y".repeat(3_000)}` })]);
  const event = (await queue.oldest(1))[0]?.event;

  assert.equal([...(event?.channel_name ?? "")].length, 256);
  assert.equal(event?.url?.length, 2_048);
  assert.ok(event?.url?.startsWith("x\ufffdy"));
});

test("after `erase` nothing is left, the name is new, and open pages cannot bring the past back", async () => {
  const { queue } = await fresh();
  await add(queue, [item(1)]);
  const before = await queue.client();
  await queue.erase();

  assert.equal((await queue.state()).waiting, 0);
  assert.notEqual(await queue.client(), before);
  assert.equal((await queue.day("2026-11-24")).fg_ms, 0);
  await add(queue, [item(1)]);
  assert.equal((await queue.state()).waiting, 0);
});

test("a day's sums are by the person's calendar; a channel may have any name", async () => {
  const { queue } = await fresh();
  const late = Date.UTC(2026, 10, 24, 23, 30);
  await add(queue, [
    item(1, { event_ts: late, tz_offset_min: -60, channel_name: "__proto__" }),
    item(2, { event_ts: late, tz_offset_min: -60, channel_name: "constructor", watch_mode: "background" }),
    item(3, { event_ts: late, tz_offset_min: -60, ad: true }),
    item(4, { event_ts: late, tz_offset_min: -60, event_type: "video_start" }),
  ]);

  const day = await queue.day("2026-11-25");
  assert.deepEqual([day.fg_ms, day.bg_ms, day.ad_ms, day.views], [10_000, 10_000, 10_000, 1]);
  assert.deepEqual(Object.entries(day.channels), [["__proto__", 10_000], ["constructor", 10_000]]);
});
