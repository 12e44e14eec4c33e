/**
 * What an answer of the gateway means for the events that were sent, and when to try again. Pure, table-tested.
 */

/** Longest wait between two attempts. */
export const MAX_WAIT_MS = 300_000;
/** The longest wait that a gateway, or whatever answers in its place, may ask for: events are not kept for ever. */
const LONGEST_ASKED_MS = 3_600_000;
const FIRST_WAIT_MS = 1_000;
const SECOND_MS = 1_000;

/**
 * @typedef {{status: number, body: unknown, retry_after: string | null}} Answer
 *
 * done: the gateway has them, all but the rejected ones, which are counted by reason
 * split: too large together, or one of them spoils the rest: send fewer
 * drop: one event alone that will never be taken
 * keep: not now; everything stays queued
 * @typedef {{kind: "done", rejected: Record<string, number>}
 *   | {kind: "split"}
 *   | {kind: "drop", reason: string}
 *   | {kind: "keep", error: string, wait_ms: number | null}} Verdict
 */

/**
 * @param {Answer} answer
 * @param {number} sent how many events
 * @param {number} now_ts epoch ms, for a Retry-After that names a date
 * @returns {Verdict}
 */
export function judge({ status, body, retry_after }, sent, now_ts) {
  if (status === 200 && accepts(body)) {
    return { kind: "done", rejected: rejections(body) };
  }
  const said = errorText(body);
  // Only a gateway's own word drops anything: what else may answer there knows nothing of events.
  const ours = said !== undefined && /** @type {Record<string, unknown>} */ (body).ok === false;
  if ((status === 400 || status === 413) && (sent > 1 || ours)) {
    return sent > 1 ? { kind: "split" } : { kind: "drop", reason: `${status} ${said}` };
  }
  return { kind: "keep", error: explain(status, said), wait_ms: retryAfterMs(retry_after, now_ts) };
}

/**
 * @param {unknown} body
 * @returns {body is {ok: true, accepted: number, rejected: number, errors?: {error: string}[]}}
 */
function accepts(body) {
  const reply = /** @type {Record<string, unknown> | null} */ (typeof body === "object" ? body : null);
  return reply?.ok === true && Number.isInteger(reply.accepted) && Number.isInteger(reply.rejected);
}

/** @param {{rejected: number, errors?: {error: string}[]}} reply */
function rejections({ rejected, errors = [] }) {
  /** @type {Record<string, number>} */
  const reasons = {};
  for (const { error } of errors.slice(0, rejected)) {
    reasons[error] = (reasons[error] ?? 0) + 1;
  }
  const unnamed = rejected - Math.min(errors.length, rejected);
  return unnamed > 0 ? { ...reasons, "rejected by the gateway": unnamed } : reasons;
}

/** @param {unknown} body */
function errorText(body) {
  const error = /** @type {{error?: unknown} | null} */ (typeof body === "object" ? body : null)?.error;
  return typeof error === "string" ? error : undefined;
}

/**
 * @param {number} status
 * @param {string | undefined} said
 */
function explain(status, said) {
  /** @type {Record<number, string>} */
  const known = {
    200: "Something answered that is not a Watchtime gateway. Check the address in the options.",
    401: "The gateway wants a token, or does not know this one. Enter it in the options.",
    403: "The gateway does not answer under this address: its GATEWAY_ALLOWED_HOSTS must name the host. Or check the address in the options.",
    404: "There is no gateway at this address. Check it in the options.",
    429: "The gateway asked to slow down.",
    503: "The gateway cannot store events at the moment.",
  };
  return known[status] ?? `The gateway answered ${status}${said ? `: ${said}` : ""}.`;
}

/**
 * @param {string | null} value seconds or an HTTP date
 * @param {number} now_ts
 * @returns {number | null}
 */
export function retryAfterMs(value, now_ts) {
  if (value === null || value.trim() === "") {
    return null;
  }
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * SECOND_MS : Date.parse(value) - now_ts;
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), LONGEST_ASKED_MS) : null;
}

/**
 * @param {number} attempt failures so far, from 0
 * @param {number} random 0 to 1
 * @returns {number} ms to wait: doubles up to five minutes; half of it at random, so that a herd of clients disperses
 */
export function backOffMs(attempt, random) {
  const wait = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return Math.round(wait / 2 + (wait / 2) * random);
}
