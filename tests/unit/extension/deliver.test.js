import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCH_EVENTS, Delivery } from "../../../extension/background/deliver.js";
import { backOffMs, judge, MAX_WAIT_MS, retryAfterMs } from "../../../extension/background/verdict.js";

const NOW = Date.UTC(2026, 10, 24, 12);
const OK = { ok: true, accepted: 3, rejected: 0, errors: [] };

/** @type {[string, number, unknown, number, object][]} name, status, body, events sent, verdict */
const ANSWERS = [
  ["taken", 200, OK, 3, { kind: "done", rejected: {} }],
  ["one rejected", 200, { ok: true, accepted: 2, rejected: 1, errors: [{ index: 1, error: "missing X" }] }, 3, { kind: "done", rejected: { "missing X": 1 } }],
  ["more rejected than named", 200, { ok: true, accepted: 0, rejected: 3, errors: [{ index: 0, error: "a" }] }, 3, { kind: "done", rejected: { a: 1, "rejected by the gateway": 2 } }],
  ["too large together", 413, { ok: false, error: "x" }, 2, { kind: "split" }],
  ["one spoils the body", 400, { ok: false, error: "Invalid JSON" }, 50, { kind: "split" }],
  ["not a gateway", 400, null, 1, { kind: "keep", error: "The gateway answered 400.", wait_ms: null }],
  ["not a gateway, with an error of its own", 400, { status: 400, error: "Bad Request" }, 1,
    { kind: "keep", error: "The gateway answered 400: Bad Request.", wait_ms: null }],
  ["not a gateway, too large for it", 413, "<html>", 1, { kind: "keep", error: "The gateway answered 413.", wait_ms: null }],
  ["one alone, never taken", 400, { ok: false, error: "Invalid JSON" }, 1, { kind: "drop", reason: "400 Invalid JSON" }],
];
for (const [name, status, body, sent, verdict] of ANSWERS) {
  test(`answer: ${name}`, () => assert.deepEqual(judge({ status, body, retry_after: null }, sent, NOW), verdict));
}

for (const status of [200, 204, 301, 401, 403, 404, 405, 408, 415, 422, 429, 500, 502, 503]) {
  test(`answer ${status} that says nothing of the events keeps them`, () => {
    const verdict = judge({ status, body: "<html>", retry_after: "7" }, 3, NOW);
    assert.equal(verdict.kind, "keep");
    assert.equal(verdict.kind === "keep" && verdict.wait_ms, 7_000);
  });
}

test("Retry-After: seconds, a date, the past, nonsense", () => {
  assert.equal(retryAfterMs("120", NOW), 120_000);
  assert.equal(retryAfterMs("Tue, 24 Nov 2026 12:00:30 GMT", NOW), 30_000);
  assert.equal(retryAfterMs("Tue, 24 Nov 2026 11:00:00 GMT", NOW), 0);
  assert.equal(retryAfterMs("99999999", NOW), 3_600_000); // whoever answered: events are kept for two weeks only
  assert.equal(retryAfterMs("soon", NOW), null);
  assert.equal(retryAfterMs(null, NOW), null);
});

test("back-off doubles to five minutes, half of it at random", () => {
  assert.deepEqual([0, 1, 2].map((attempt) => backOffMs(attempt, 0)), [500, 1_000, 2_000]);
  assert.deepEqual([0, 1, 2].map((attempt) => backOffMs(attempt, 1)), [1_000, 2_000, 4_000]);
  assert.equal(backOffMs(1_000, 1), MAX_WAIT_MS);
});

/**
 * A queue of so many events before a gateway that answers as scripted, then takes everything.
 * @param {number} count
 * @param {((events: any[]) => {status: number, body?: unknown, headers?: Record<string, string>} | "no network")[]} script
 */
function world(count, script) {
  const seen = {
    queued: Array.from({ length: count }, (_, i) => ({ key: i + 1, queued_ts: NOW, event: /** @type {any} */ ({ event_id: `e${i + 1}` }) })),
    /** @type {number[]} */
    sizes: [],
    /** @type {RequestInit[]} */
    requests: [],
    /** @type {Record<string, number>} */
    dropped: {},
    /** @type {any} */
    state: undefined,
    now: NOW,
    /** @type {number[]} */
    waits: [],
    at_once: 0,
    most_at_once: 0,
  };
  const delivery = new Delivery({
    queue: {
      oldest: async (most) => seen.queued.slice(0, most),
      remove: async (keys, dropped = {}) => {
        seen.queued = seen.queued.filter(({ key }) => !keys.includes(key));
        Object.assign(seen.dropped, dropped);
      },
    },
    target: async () => ({ address: "http://127.0.0.1:4000", token: "secret", on: true }),
    fetch: async (_, request) => {
      seen.most_at_once = Math.max(seen.most_at_once, ++seen.at_once);
      await new Promise((resolve) => setImmediate(resolve));
      seen.at_once -= 1;
      seen.requests.push(request ?? {});
      const { events } = JSON.parse(String(request?.body));
      seen.sizes.push(events.length);
      const answer = script.shift()?.(events) ?? { status: 200, body: { ...OK, accepted: events.length } };
      if (answer === "no network") {
        throw new TypeError("Failed to fetch");
      }
      return new Response(JSON.stringify(answer.body ?? null), { status: answer.status, headers: answer.headers ?? {} });
    },
    load: async () => seen.state,
    save: async (state) => void (seen.state = state),
    later: (_, ms) => void seen.waits.push(ms),
    ts: () => seen.now,
    random: () => 1,
  });
  return { seen, delivery };
}

test("batches of at most 50, one in flight, oldest first, with the token", async () => {
  const { seen, delivery } = world(120, []);
  await Promise.all([delivery.run(), delivery.run(), delivery.run({ now: true })]);

  assert.deepEqual(seen.sizes, [BATCH_EVENTS, BATCH_EVENTS, 20]);
  assert.equal(seen.most_at_once, 1);
  assert.deepEqual(seen.queued, []);
  assert.equal(new Headers(seen.requests[0]?.headers).get("Authorization"), "Bearer secret");
  assert.equal(seen.requests[0]?.credentials, "omit");
});

test("nothing leaves the queue while the gateway is away, and attempts get rarer", async () => {
  const { seen, delivery } = world(3, [() => "no network", () => ({ status: 503 }), () => ({ status: 500 })]);
  for (const wait_ms of [1_000, 2_000, 4_000]) {
    await delivery.run();
    assert.equal(seen.queued.length, 3);
    assert.equal(seen.state.not_before_ts, seen.now + wait_ms);
    const requests = seen.requests.length;
    await delivery.run();
    assert.equal(seen.requests.length, requests, "too early");
    seen.now = seen.state.not_before_ts;
  }
  await delivery.run();
  assert.deepEqual(seen.queued, []);
  assert.equal(seen.state.error, null);
  assert.equal(seen.state.attempt, 0);
});

test("Retry-After is honoured where it is longer", async () => {
  const { seen, delivery } = world(1, [() => ({ status: 429, headers: { "Retry-After": "600" } })]);
  await delivery.run();

  assert.equal(seen.state.not_before_ts, NOW + 600_000);
});

test("a clock that was set back does not stop delivery", async () => {
  const { seen, delivery } = world(1, [() => "no network"]);
  await delivery.run();
  seen.now -= 3_600_000;
  await delivery.run();

  assert.deepEqual(seen.queued, []);
});

test("the person may try at once", async () => {
  const { seen, delivery } = world(1, [() => "no network"]);
  await delivery.run();
  await delivery.run({ now: true });

  assert.deepEqual(seen.queued, []);
});

test("one event that spoils every body is found and dropped, the others arrive", async () => {
  const poison = (/** @type {any[]} */ events) =>
    events.some(({ event_id }) => event_id === "e5") ? { status: 400, body: { ok: false, error: "Invalid JSON" } } : { status: 200, body: OK };
  const { seen, delivery } = world(8, Array(20).fill(poison));
  await delivery.run();

  assert.deepEqual(seen.queued, []);
  assert.deepEqual(seen.dropped, { "400 Invalid JSON": 1 });
});
