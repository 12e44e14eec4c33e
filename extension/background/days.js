/** The person's own view of a day: a few sums for the popup, by the person's calendar. Pure. */

/**
 * @typedef {import("../events.js").WireEvent} WireEvent
 *
 * @typedef {object} Day
 * @property {string} date YYYY-MM-DD, local
 * @property {number} fg_ms
 * @property {number} bg_ms
 * @property {number} ad_ms
 * @property {number} views
 * @property {Record<string, number>} channels ms by name, without ads
 */

/** Today is shown, which somewhere is still UTC's yesterday. */
export const DAYS_KEPT = 2;
/** A name for time whose channel never showed. */
export const NO_CHANNEL = "Unknown channel";

/**
 * @param {string} date
 * @returns {Day}
 */
export const emptyDay = (date) => ({ date, fg_ms: 0, bg_ms: 0, ad_ms: 0, views: 0, channels: {} });

/**
 * @param {number} ts epoch ms
 * @param {number} tz_offset_min as JavaScript gives it: minutes to add to local time to get UTC
 * @returns {string} YYYY-MM-DD
 */
export function localDate(ts, tz_offset_min) {
  return new Date(ts - tz_offset_min * 60_000).toISOString().slice(0, 10);
}

/**
 * @param {Day} day
 * @param {WireEvent} event
 * @returns {Day}
 */
export function addEvent(day, event) {
  if (event.event_type === "video_start") {
    return { ...day, views: day.views + 1 };
  }
  const ms = event.event_type === "watch_tick" ? (event.watch_ms_delta ?? 0) : 0;
  if (ms === 0) {
    return day;
  }
  if (event.ad) {
    return { ...day, ad_ms: day.ad_ms + ms };
  }
  const name = event.channel_name ?? NO_CHANNEL;
  const before = Object.hasOwn(day.channels, name) ? day.channels[name] : 0; // a channel may be called "constructor"
  const channels = { ...day.channels, [name]: (before ?? 0) + ms };
  const kind = event.watch_mode === "background" ? "bg_ms" : "fg_ms";
  return { ...day, channels, [kind]: day[kind] + ms };
}
