/**
 * Stretches that one `watch_tick` adds up: one view's, of one kind (advertisement or not, seen or not), within one
 * quarter hour.
 *
 * Pure.
 */

import { MAX_DELTA_MS } from "../events.js";

/** A tick is sent after this much wall time. */
const TICK_MS = 10_000;
/** Ticks end at quarter hours, so that every hour and every local midnight keeps its own time. */
const QUARTER_MS = 900_000;

/**
 * @typedef {import("./stopwatch.js").Observation} Observation
 * @typedef {import("./stopwatch.js").Stretch} Stretch
 */

export class Tick {
  #ms = 0;
  #content_ms = 0;
  #from;
  #ad;
  #seen;
  /** The latest look that shows this view's video. */
  to;

  /**
   * @param {Observation} from what holds at its start
   * @param {boolean} ad
   */
  constructor(from, ad) {
    this.#from = from;
    this.#ad = ad;
    this.#seen = seen(from);
    this.to = from;
  }

  /**
   * @param {Stretch} stretch
   * @param {Observation} last
   * @param {Observation} next
   */
  fits(stretch, last, next) {
    return (
      this.#seen === seen(last) &&
      this.#ad === stretch.video.ad &&
      this.#ms + stretch.ms <= MAX_DELTA_MS &&
      Math.floor(this.to.ts / QUARTER_MS) === Math.floor(next.ts / QUARTER_MS)
    );
  }

  /**
   * @param {Stretch} stretch
   * @param {Observation} to
   */
  add(stretch, to) {
    this.#ms += stretch.ms;
    this.#content_ms += stretch.content_ms;
    this.to = to;
  }

  /** @param {number} now_ms monotonic */
  isDue(now_ms) {
    return now_ms - this.#from.now_ms >= TICK_MS;
  }

  /**
   * What its event says, besides what every event of a view says.
   * @param {string} reason
   * @returns {Partial<import("../events.js").PageEvent> & {event_type: "watch_tick"} | null} null: less than a millisecond
   */
  told(reason) {
    const ms = Math.round(this.#ms);
    if (ms < 1) {
      return null;
    }
    return {
      event_type: "watch_tick",
      page_type: this.#from.video?.page_type,
      is_visible: this.#from.visible,
      watch_ms_delta: ms,
      watch_mode: this.#seen === "none" ? "background" : "foreground",
      content_ms: Math.round(this.#content_ms),
      position_s: this.to.video?.position_s,
      playback_rate: this.#from.video?.rate,
      flush_reason: reason,
      ...(this.#seen !== "none" && { fg_reason: this.#seen }),
      ...(this.#ad && { ad: true }),
    };
  }
}

/**
 * @param {Observation} look
 * @returns {"visible" | "pip" | "none"}
 */
function seen(look) {
  return look.visible ? "visible" : look.pip ? "pip" : "none";
}
