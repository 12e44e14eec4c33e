/** Words and numbers as people read them. Pure. */

const MINUTE_MS = 60_000;
const HOUR_MIN = 60;

/**
 * @param {number} ms
 * @returns {string} such as "1 h 05 min", "3 min", "under 1 min"
 */
export function duration(ms) {
  const minutes = Math.floor(ms / MINUTE_MS);
  if (minutes === 0) {
    return ms === 0 ? "0 min" : "under 1 min";
  }
  if (minutes < HOUR_MIN) {
    return `${minutes} min`;
  }
  return `${Math.floor(minutes / HOUR_MIN)} h ${String(minutes % HOUR_MIN).padStart(2, "0")} min`;
}

/**
 * @param {number} ts
 * @param {number} now_ts
 * @returns {string} such as "just now", "5 min ago"
 */
export function ago(ts, now_ts) {
  const ms = now_ts - ts;
  return ms < MINUTE_MS ? "just now" : `${duration(ms)} ago`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/**
 * @param {Record<string, number>} dropped events by reason
 * @returns {string | null}
 */
export function droppedWords(dropped) {
  const reasons = Object.entries(dropped);
  const total = reasons.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) {
    return null;
  }
  return `${counted(total, "event", "events")} could not be delivered: ${reasons.map(([why, n]) => `${why} (${n})`).join(", ")}.`;
}

/**
 * The channels with most time.
 * @param {Record<string, number>} channels ms by name
 * @param {number} most
 * @returns {{name: string, ms: number}[]}
 */
export function topChannels(channels, most) {
  const sorted = Object.entries(channels).map(([name, ms]) => ({ name, ms })).sort((a, b) => b.ms - a.ms);
  return sorted.slice(0, most);
}
