/**
 * How much of the stretch between two looks at a player counts.
 *
 * Wall time, and never more than the media's own progress at its rate, and nothing at all when the stretch began
 * paused, stalled or seeking. So a sleeping laptop, a frozen tab or a spinner adds nothing, and 2x speed counts what
 * the clock on the wall says.
 * A player reports its position in small leaps; a quarter second that it was behind may count with the next stretch,
 * so that the sum is right, and still never more than the wall time or the progress.
 *
 * Pure.
 */

import { MAX_DELTA_MS } from "../events.js";

/** A stretch that ends in a jump has no measurable progress: believe this much, one `timeupdate` interval. */
const JUMP_MS = 300;
/** How far a player's position may lag behind and catch up. */
const LAG_MS = 250;

/**
 * @typedef {object} Channel
 * @property {string} [name]
 * @property {string} [handle]
 * @property {string} [id]
 * @property {string} [url]
 * @property {boolean} sure false while it may still be the previous video's
 *
 * @typedef {object} Video
 * @property {string} id
 * @property {import("../events.js").PageType} page_type
 * @property {string} src changes when the element loads something else
 * @property {number} position_s
 * @property {number} duration_s NaN or Infinity when unknown or live
 * @property {number} rate
 * @property {boolean} advancing neither paused, ended, seeking nor out of data
 * @property {boolean} paused by a person or the page, not by buffering
 * @property {boolean} ended
 * @property {boolean} ad
 * @property {Channel | null} channel
 *
 * @typedef {object} Observation
 * @property {number} now_ms monotonic
 * @property {number} ts epoch ms
 * @property {boolean} visible
 * @property {boolean} pip
 * @property {string} url
 * @property {number} tz_offset_min
 * @property {Video | null} video null: no main player, or nothing loaded
 *
 * @typedef {object} Stretch
 * @property {Video} video what played
 * @property {number} ms that count
 * @property {number} content_ms media progress
 * @property {boolean} back it ended by a jump to an earlier place of the same media
 */

export class Stopwatch {
  /** Wall time of this stretch of playing that the media's position has not caught up with. */
  #lag_ms = 0;

  /**
   * @param {Observation} last
   * @param {Observation} next
   * @returns {Stretch | null} null: it began with nothing playing
   */
  measure(last, next) {
    const was = last.video;
    const is = next.video;
    const wall_ms = next.now_ms - last.now_ms;
    if (!was?.advancing || wall_ms < 0) {
      this.#lag_ms = 0;
      return null;
    }
    const same = is !== null && is.id === was.id && is.src === was.src && is.ad === was.ad;
    const progress_ms = same ? (is.position_s - was.position_s) * 1000 : -1;
    const due_ms = wall_ms + this.#lag_ms;
    const jumped = progress_ms < 0;
    const ms = jumped ? Math.min(wall_ms, JUMP_MS) : Math.min(due_ms, MAX_DELTA_MS, progress_ms / was.rate);
    this.#lag_ms = jumped ? 0 : Math.min(LAG_MS, Math.max(0, due_ms - ms));
    return { video: was, ms, content_ms: ms * was.rate, back: same && jumped };
  }
}
