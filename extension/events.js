/**
 * The schema-1 events that the gateway takes, and the limits that it holds them to.
 *
 * Pure: no browser API, so the same module serves the page's script, the service worker and the tests.
 * All times are epoch milliseconds, all durations milliseconds.
 */

export const SCHEMA = 1;
/** One tick never holds more; the tracker sends one every ten seconds. */
export const MAX_DELTA_MS = 60_000;
/** The gateway refuses larger events; queues never hold one. */
export const MAX_EVENT_BYTES = 16_384;

const ID_LENGTH = 128;
const NAME_LENGTH = 256;
const URL_LENGTH = 2_048;
/** Longest strings that the gateway takes, in code points. */
const MAX_CODE_POINTS = /** @type {const} */ ({
  event_id: ID_LENGTH,
  client_session_id: ID_LENGTH,
  tab_id: ID_LENGTH,
  video_id: ID_LENGTH,
  video_session_id: ID_LENGTH,
  channel_id: ID_LENGTH,
  seq_epoch: ID_LENGTH,
  channel_name: NAME_LENGTH,
  channel_handle: NAME_LENGTH,
  url: URL_LENGTH,
  channel_url: URL_LENGTH,
});

/**
 * @typedef {"video_start" | "video_stop" | "watch_tick" | "visibility_change" | "player_state_change" | "context_missing"} EventType
 * @typedef {"watch" | "shorts" | "live" | "embed" | "music" | "miniplayer"} PageType
 * @typedef {"foreground" | "background"} WatchMode
 *
 * What the page's script knows of one event; the service worker adds who and in which order.
 * @typedef {object} PageEvent
 * @property {EventType} event_type
 * @property {number} event_ts
 * @property {string} [event_id]
 * @property {string} [video_id]
 * @property {string} [video_session_id]
 * @property {string} [channel_name]
 * @property {string} [channel_handle]
 * @property {string} [channel_id]
 * @property {string} [channel_url]
 * @property {string} [url]
 * @property {boolean} [is_visible]
 * @property {PageType} [page_type]
 * @property {number} [tz_offset_min]
 * @property {number} [watch_ms_delta]
 * @property {WatchMode} [watch_mode]
 * @property {"visible" | "pip"} [fg_reason]
 * @property {boolean} [ad]
 * @property {number} [content_ms] media progress of this tick
 * @property {number} [position_s]
 * @property {number} [playback_rate]
 * @property {string} [flush_reason]
 * @property {"pause" | "ended" | "navigate" | "leave_watch" | "unknown"} [reason]
 * @property {string} [new_state]
 * @property {string} [context_type]
 *
 * @typedef {object} Sender who speaks, added by the service worker
 * @property {string} client_session_id one browser profile
 * @property {string} tab_id
 * @property {string} seq_epoch one run of the browser
 * @property {number} seq place within the run
 *
 * @typedef {PageEvent & Sender & {schema: 1, event_id: string}} WireEvent
 */

/**
 * Turn what the page's script reported into an event that the gateway accepts.
 *
 * Over-long strings are cut, lone surrogates replaced (the gateway answers 400 for the whole body otherwise)
 * and absent fields left out, so that one odd title can never hold up a queue.
 * @param {PageEvent} event
 * @param {Sender} sender
 * @returns {WireEvent}
 */
export function wireEvent(event, sender) {
  /** @type {Record<string, unknown>} */
  const wire = { event_id: "" };
  for (const [name, value] of Object.entries({ ...event, ...sender })) {
    if (value === undefined || value === null) {
      continue;
    }
    wire[name] = typeof value === "string" ? fit(name, value) : value;
  }
  wire.schema = SCHEMA;
  return /** @type {WireEvent} */ (/** @type {unknown} */ (wire));
}

/**
 * @param {string} name
 * @param {string} value
 * @returns {string}
 */
function fit(name, value) {
  const whole = value.replaceAll(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
  const limit = MAX_CODE_POINTS[/** @type {keyof typeof MAX_CODE_POINTS} */ (name)] ?? NAME_LENGTH;
  if (whole.length <= limit) {
    return whole;
  }
  return [...whole].slice(0, limit).join("");
}

/**
 * Size of an event as the gateway counts it: compact UTF-8 JSON.
 * @param {object} event
 * @returns {number}
 */
export function eventBytes(event) {
  return new TextEncoder().encode(JSON.stringify(event)).length;
}
