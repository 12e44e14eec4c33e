/**
 * Brings queued events to the gateway: oldest first, one request at a time, at most 50 events each.
 *
 * An event leaves the queue only after the gateway said that it has it (or will never take it). A worker that dies
 * with a request in flight sends the same events again, with the same numbers, and the gateway's side counts them once.
 */

import { post } from "./post.js";
import { backOffMs, judge } from "./verdict.js";

export const BATCH_EVENTS = 50;
/** Stays under the gateway's 512 KiB with room to spare. */
const BATCH_BYTES = 400_000;
const TIMEOUT_MS = 30_000;

/**
 * @typedef {import("./queue.js").Queued} Queued
 *
 * @typedef {object} DeliveryState kept over the worker's death
 * @property {number} attempt failures in a row
 * @property {number} not_before_ts no request before
 * @property {string | null} error what went wrong last; null when all is well
 * @property {number | null} error_ts
 * @property {number | null} delivered_ts last success
 *
 * @typedef {object} DeliverSeams
 * @property {Pick<import("./queue.js").Queue, "oldest" | "remove">} queue
 * @property {() => Promise<{address: string, token: string, on: boolean}>} target
 * @property {typeof fetch} fetch
 * @property {() => Promise<DeliveryState | undefined>} load
 * @property {(state: DeliveryState) => Promise<void>} save
 * @property {(run: () => void, ms: number) => void} later
 * @property {() => number} ts
 * @property {() => number} random
 */

/** @type {DeliveryState} */
const FRESH = { attempt: 0, not_before_ts: 0, error: null, error_ts: null, delivered_ts: null };

export class Delivery {
  /** @type {Promise<void> | null} */
  #running = null;
  #seams;

  /** @param {DeliverSeams} seams */
  constructor(seams) {
    this.#seams = seams;
  }

  /** @returns {Promise<DeliveryState>} */
  async state() {
    return { ...FRESH, ...(await this.#seams.load()) };
  }

  /**
   * Send what waits, unless that is going on or it is too early.
   * @param {{now?: boolean}} [options] now: the person asked, do not wait
   * @returns {Promise<void>} when the queue is empty or an attempt has failed
   */
  run({ now = false } = {}) {
    this.#running ??= this.#send(now).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** @param {boolean} now */
  async #send(now) {
    let state = await this.state();
    const now_ts = this.#seams.ts();
    // Before the failure itself: the clock was set back, and how long it is to wait is no longer known.
    if (!now && now_ts < state.not_before_ts && now_ts >= (state.error_ts ?? 0)) {
      return;
    }
    let most = BATCH_EVENTS;
    for (;;) {
      const { address, token, on } = await this.#seams.target();
      const batch = on ? within(await this.#seams.queue.oldest(most)) : [];
      if (batch.length === 0) {
        return;
      }
      const verdict = await this.#deliver(batch, address, token);
      const keys = batch.map((queued) => queued.key);
      if (verdict.kind === "split") {
        most = Math.ceil(batch.length / 2);
        continue;
      }
      if (verdict.kind === "keep") {
        await this.#failed(state, verdict.error, verdict.wait_ms);
        return;
      }
      await this.#seams.queue.remove(keys, verdict.kind === "drop" ? { [verdict.reason]: 1 } : verdict.rejected);
      state = { ...FRESH, delivered_ts: this.#seams.ts() };
      await this.#seams.save(state);
      most = BATCH_EVENTS;
    }
  }

  /**
   * @param {Queued[]} batch
   * @param {string} address
   * @param {string} token
   * @returns {Promise<import("./verdict.js").Verdict>}
   */
  async #deliver(batch, address, token) {
    const content = { events: batch.map((queued) => queued.event) };
    let answer;
    try {
      answer = await post(`${address}/ingest`, content, { ask: this.#seams.fetch, token, timeout_ms: TIMEOUT_MS });
    } catch (error) {
      return { kind: "keep", error: `No answer from ${address}. Is the gateway running? (${reason(error)})`, wait_ms: null };
    }
    return judge(answer, batch.length, this.#seams.ts());
  }

  /**
   * @param {DeliveryState} state
   * @param {string} error
   * @param {number | null} asked_ms the gateway's own wish
   */
  async #failed(state, error, asked_ms) {
    const now_ts = this.#seams.ts();
    const wait_ms = Math.max(asked_ms ?? 0, backOffMs(state.attempt, this.#seams.random()));
    await this.#seams.save({ ...state, attempt: state.attempt + 1, not_before_ts: now_ts + wait_ms, error, error_ts: now_ts });
    // Kept by an alarm too, should the worker die meanwhile.
    this.#seams.later(() => void this.run(), wait_ms + 1);
  }
}

/**
 * @param {Queued[]} queued
 * @returns {Queued[]} the first of them that fit one request, at least one
 */
function within(queued) {
  let bytes = 0;
  const fitting = queued.filter(({ event }, i) => {
    bytes += JSON.stringify(event).length * 3; // UTF-8 takes at most three bytes for each UTF-16 unit
    return i === 0 || bytes <= BATCH_BYTES;
  });
  return fitting;
}

/** @param {unknown} error */
const reason = (error) => (error instanceof Error ? error.message : String(error));
