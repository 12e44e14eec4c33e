/**
 * Finds what dead pages left: an outbox in storage (content/outbox.js) that nobody empties any more.
 *
 * Its items go the same way as if the page had handed them over; the queue knows which numbers it has, so what the
 * page did hand over in its last moment is not taken twice.
 */

import { OUTBOX } from "../content/outbox.js";

/**
 * A page renews an outbox that holds something at least every 30 s; one that has not for so long is dead, or frozen
 * with nothing running.
 */
export const DEAD_AFTER_MS = 180_000;

/**
 * @param {Record<string, any>} stored everything in the extension's storage
 * @param {number} before_ts outboxes saved earlier than this are taken
 * @returns {{key: string, source: string, items: import("../content/outbox.js").Item[], life: number}[]}
 */
export function abandoned(stored, before_ts) {
  return outboxes(stored)
    .filter(([, outbox]) => outbox.saved_ts < before_ts)
    .map(([key, { items, life }]) => ({ key, source: key.slice(OUTBOX.length), items, life: life ?? 0 }));
}

/**
 * @param {Record<string, any>} stored everything in the extension's storage
 * @returns {[string, any][]} the outboxes by their keys
 */
export const outboxes = (stored) => Object.entries(stored).filter(([key]) => key.startsWith(OUTBOX));
