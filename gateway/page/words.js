/** Values as people read them. */

const whole = new Intl.NumberFormat("en");

/** @param {number} count */
export const number = (count) => whole.format(count);

/**
 * @param {number} ms
 * @returns {string} such as "2 h 05 min", "3 min 20 s", "0 s"
 */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) {
    return `${whole.format(hours)} h ${String(minutes % 60).padStart(2, "0")} min`;
  }
  return minutes > 0 ? `${minutes} min ${String(seconds % 60).padStart(2, "0")} s` : `${seconds} s`;
}

/**
 * @param {number} part
 * @param {number} all
 */
export const percent = (part, all) => (all > 0 ? `${Math.round((100 * part) / all)}%` : "");

/** @param {string} dt */
export function dayName(dt) {
  const day = new Date(`${dt}T00:00:00Z`);
  return day.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** @param {number} ts epoch ms */
export const clock = (ts) => new Date(ts).toLocaleTimeString("en-GB");
