import assert from "node:assert/strict";
import { test } from "node:test";
import { ScriptedPlayer, CHANNEL } from "./player.js";

/**
 * What is watched, and the seconds and views that it must come to.
 * @type {[string, (p: ScriptedPlayer) => unknown, {fg?: number, bg?: number, ad?: number, views?: number}][]}
 */
const SITUATIONS = [
  ["plain watch", (p) => p.play(25), { fg: 25, views: 1 }],
  ["pause adds nothing and is no second view", (p) => p.play(5).pause().pass(60).see().play(5), { fg: 10, views: 1 }],
  ["play() that never plays", (p) => p.see({ advancing: true, paused: false }).pass(20).see().pass(20).see(), {}],
  ["buffering adds nothing", (p) => p.play(4).stall(30).play(4), { fg: 8, views: 1 }],
  ["a stall that no event tells of", (p) => p.play(4).pass(20).see(), { fg: 4, views: 1 }],
  ["half-starved: 0.3 s of media in 1 s", (p) => starve(p), { fg: 3, views: 1 }],
  ["2x counts wall time", (p) => p.play(10, { rate: 2 }), { fg: 10, views: 1 }],
  ["0.25x counts wall time", (p) => p.play(10, { rate: 0.25 }), { fg: 10, views: 1 }],
  ["4x counts wall time", (p) => p.play(10, { rate: 4 }), { fg: 10, views: 1 }],
  ["a position that lags and catches up", (p) => leaps(p), { fg: 10, views: 1 }],
  ["a page that fakes progress counts no more than the clock", (p) => fakeProgress(p), { fg: 10, views: 1 }],
  ["hidden", (p) => p.play(3).see({}, { visible: false }).play(7), { fg: 3, bg: 7, views: 1 }],
  ["opened in a background tab", (p) => p.see({}, { visible: false }).play(5), { bg: 5, views: 1 }],
  ["hidden and picture-in-picture", (p) => p.see({}, { visible: false, pip: true }).play(5), { fg: 5, views: 1 }],
  ["silent hidden tab, woken once a minute", (p) => p.see({}, { visible: false }).play(120, {}, 60_000), { bg: 120, views: 1 }],
  ["ad before", (p) => p.play(6, { ad: true, src: "ad" }).see({ ad: false, src: "v", position_s: 0 }).play(9), { ad: 6, fg: 9, views: 1 }],
  ["only the ad was watched: no view", (p) => p.play(6, { ad: true, src: "ad" }), { ad: 6 }],
  ["ad in the middle", (p) => adInTheMiddle(p), { fg: 8, ad: 5, views: 1 }],
  ["seek forward by a minute", (p) => seek(p, 60), { fg: 8, views: 1 }],
  ["seek back before half was seen", (p) => seek(p, -4), { fg: 8, views: 1 }],
  ["scrubbing while paused", (p) => p.play(2).pause().see({ position_s: 90 }).pass(5).see({ position_s: 300 }), { fg: 2, views: 1 }],
  ["ended, played again", (p) => p.play(5, { duration_s: 5 }).end().pass(9).see({ position_s: 0 }).play(5), { fg: 10, views: 2 }],
  ["loop without `ended`", (p) => loop(p), { fg: 15, views: 3 }],
  ["paused near the end, played again from the start", (p) => p.play(8, { duration_s: 10 }).pause().see({ position_s: 0 }).play(3), { fg: 11, views: 2 }],
  ["dragged back to the start", (p) => drag(p), { fg: 11, views: 2 }],
  ["paused near the end, scrubbed to the start and back", (p) => p.play(8, { duration_s: 10 }).pause().see({ position_s: 0 }).see({ position_s: 7 }).play(2), { fg: 10, views: 1 }],
  ["laptop lid closed for an hour", (p) => p.play(5).pass(3_600).see({ position_s: 6 }).play(5), { fg: 10, views: 1 }],
  ["an hour that the media claims to have played in one stretch", (p) => p.play(5).pass(3_600).see({ position_s: 3_605 }), { fg: 5, views: 1 }],
  ["the next video without a navigation", (p) => p.play(5).see({ id: "bbbbbbbbbbb", src: "blob:2", position_s: 0 }).play(5), { fg: 10, views: 2 }],
  ["one-second Short", (p) => p.play(1, { duration_s: 1, page_type: "shorts" }).end(), { fg: 1, views: 1 }],
  ["live: no duration", (p) => p.play(30, { duration_s: Infinity, position_s: 88_000 }), { fg: 30, views: 1 }],
  ["live: jump to the edge is no replay", (p) => p.play(30, { duration_s: Infinity }).see({ position_s: 0 }).play(5), { fg: 35, views: 1 }],
  ["no player", (p) => p.see(null).pass(10).see(null), {}],
];

for (const [name, watch, expected] of SITUATIONS) {
  test(name, () => {
    const player = new ScriptedPlayer();
    watch(player);
    player.close();
    const sums = player.sums;
    const want = { fg: 0, bg: 0, ad: 0, views: 0, ...expected };
    assert.equal(sums.views, want.views, "views");
    for (const kind of /** @type {const} */ (["fg", "bg", "ad"])) {
      assert.ok(Math.abs(sums[kind] - want[kind]) < 0.05, `${kind}: ${sums[kind]} s, not ${want[kind]} s`);
    }
  });
}

/** @param {ScriptedPlayer} p */
function starve(p) {
  p.see({ advancing: true, paused: false });
  for (let i = 1; i <= 10; i++) {
    p.pass(1).see({ position_s: i * 0.3 });
  }
}

/** Looks that come early and late by turns see 0.1 and 0.4 s of progress. @param {ScriptedPlayer} p */
function leaps(p) {
  p.see({ advancing: true, paused: false });
  let position_s = 0;
  for (let i = 0; i < 40; i++) {
    position_s += i % 2 ? 0.4 : 0.1;
    p.pass(0.25).see({ position_s });
  }
}

/** @param {ScriptedPlayer} p */
function fakeProgress(p) {
  p.see({ advancing: true, paused: false });
  for (let i = 1; i <= 10; i++) {
    p.pass(1).see({ position_s: i * 50 });
  }
}

/** @param {ScriptedPlayer} p */
function adInTheMiddle(p) {
  p.play(4, { src: "v" }).see({ ad: true, src: "ad", position_s: 0, duration_s: 5 }).play(5).end();
  p.see({ ad: false, src: "v", position_s: 4, duration_s: 600, ended: false }).play(4);
}

/** @param {ScriptedPlayer} p @param {number} by */
function seek(p, by) {
  p.play(4);
  const to = (p.look.video?.position_s ?? 0) + by;
  p.see({ position_s: to, advancing: false }).pass(0.4).play(4);
}

/** @param {ScriptedPlayer} p */
function drag(p) {
  p.play(8, { duration_s: 10 }).see({ position_s: 6, advancing: false }).see({ position_s: 3 }).see({ position_s: 0 }).play(3);
}

/** @param {ScriptedPlayer} p */
function loop(p) {
  p.play(5, { duration_s: 5 });
  p.see({ position_s: 0 }).play(5);
  p.see({ position_s: 0 }).play(5);
}

test("a tick every ten seconds, none over a minute, content progress beside it", () => {
  const player = new ScriptedPlayer().play(35, { rate: 2 }).close();

  assert.deepEqual(player.of("watch_tick").map((tick) => tick.watch_ms_delta), [10_000, 10_000, 10_000, 5_000]);
  assert.deepEqual(player.of("watch_tick").map((tick) => tick.content_ms), [20_000, 20_000, 20_000, 10_000]);
  assert.equal(player.of("watch_tick")[0]?.playback_rate, 2);
});

test("stops carry why", () => {
  const player = new ScriptedPlayer().play(2).pause().play(2).end();
  player.see({ position_s: 0 }).play(2).see({ id: "bbbbbbbbbbb", src: "2", position_s: 0 }).play(2).close();

  assert.deepEqual(player.of("video_stop").map((stop) => stop.reason), ["pause", "ended", "navigate", "leave_watch"]);
  assert.equal(new Set(player.events.map((event) => event.video_session_id)).size, 3);
});

test("each tick belongs to the quarter hour in which it was watched", () => {
  const player = new ScriptedPlayer();
  player.ts += 895_000;
  player.play(10).close();

  const hour = player.of("watch_tick").map((tick) => [tick.watch_ms_delta, Math.floor(tick.event_ts / 900_000)]);
  const first = Math.floor(Date.UTC(2026, 10, 24, 12) / 900_000);
  assert.deepEqual(hour, [[4_750, first], [5_250, first + 1]]);
});

test("ticks wait for a late channel and then carry it", () => {
  const player = new ScriptedPlayer().play(2, { channel: null });
  assert.equal(player.events.length, 0);
  assert.equal(player.tracker.pending().length, 2);
  player.play(1, { channel: CHANNEL }).close();

  assert.deepEqual(new Set(player.events.map((event) => event.channel_name)), new Set([CHANNEL.name]));
  assert.deepEqual(player.of("context_missing"), []);
});

test("a channel that stays away is said to be missing, once, and time is kept", () => {
  const player = new ScriptedPlayer().play(20, { channel: null }).close();

  assert.equal(player.of("context_missing").length, 1);
  assert.equal(player.of("context_missing")[0]?.context_type, "channel");
  assert.equal(player.sums.fg, 20);
  assert.ok(player.events.every((event) => event.channel_name === undefined));
});

test("the previous video's channel, still in the page, is not believed at first", () => {
  const stale = { ...CHANNEL, name: "Old channel", sure: false };
  const player = new ScriptedPlayer().play(1, { channel: stale }).play(5, { channel: CHANNEL }).close();

  assert.deepEqual(new Set(player.events.map((event) => event.channel_name)), new Set([CHANNEL.name]));
});

test("pending() holds what a dying page would lose", () => {
  const player = new ScriptedPlayer().play(13);
  const [tick, ...rest] = player.tracker.pending();

  assert.deepEqual(rest, []);
  assert.equal(tick?.watch_ms_delta, 3_000);
  player.close();
  assert.deepEqual(player.tracker.pending(), []);
  assert.equal(player.sums.fg, 13);
});

test("visibility changes are told, and split the tick", () => {
  const player = new ScriptedPlayer().play(3).see({}, { visible: false }).play(3).close();

  assert.deepEqual(player.of("visibility_change").map((event) => event.is_visible), [false]);
  assert.deepEqual(player.of("watch_tick").map((tick) => [tick.watch_mode, tick.fg_reason]), [["foreground", "visible"], ["background", undefined]]);
});

test("sleep that the page's clock did not see ends the tick as it lay in the outbox", () => {
  const player = new ScriptedPlayer().play(5);
  const kept = player.tracker.pending();
  player.ts += 200_000; // within the same quarter hour
  player.play(5).close();

  const [slept, after] = player.of("watch_tick");
  assert.deepEqual({ ...slept, flush_reason: "recovered" }, kept.at(-1));
  assert.equal(slept?.flush_reason, "gap");
  assert.equal(after?.watch_ms_delta, 5_000);
});

test("a clock that is set by a day costs one stretch at most, and nothing counts twice", () => {
  for (const days of [1, -1]) {
    const player = new ScriptedPlayer().play(5);
    player.pass(0.25).ts += days * 86_400_000;
    player.see({ position_s: 5.25 }).play(5).close();

    assert.ok(player.sums.fg >= 10 && player.sums.fg <= 10.25, `${days}: ${player.sums.fg}`);
    assert.equal(player.sums.views, 1);
  }
});
