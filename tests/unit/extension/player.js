/** A player made of numbers: plays scripted steps and shows the tracker what a page's script would see. */

import { Tracker } from "../../../extension/content/tracker.js";

const START_TS = Date.UTC(2026, 10, 24, 12, 0, 0);
/** How often a playing video speaks up. */
const LOOK_MS = 250;

export const CHANNEL = { name: "Some channel", handle: "@some", id: "UC0123456789012345678901", url: "https://www.youtube.com/@some", sure: true };

export class ScriptedPlayer {
  now = 5_000;
  ts = START_TS;
  /** @type {import("../../../extension/content/stopwatch.js").Observation} */
  look = {
    now_ms: 0,
    ts: 0,
    visible: true,
    pip: false,
    url: "https://www.youtube.com/watch?v=aaaaaaaaaaa",
    tz_offset_min: -60,
    video: {
      id: "aaaaaaaaaaa",
      page_type: "watch",
      src: "blob:1",
      position_s: 0,
      duration_s: 600,
      rate: 1,
      advancing: false,
      paused: true,
      ended: false,
      ad: false,
      channel: CHANNEL,
    },
  };
  /** @type {import("../../../extension/events.js").PageEvent[]} */
  events = [];
  ids = 0;
  tracker = new Tracker({ newId: () => `view-${++this.ids}` });

  /** Look now; `video` and the rest change what is seen. */
  see(/** @type {any} */ video = {}, /** @type {any} */ rest = {}) {
    const before = this.look.video;
    this.look = {
      ...this.look,
      ...rest,
      now_ms: this.now,
      ts: this.ts,
      video: video === null ? null : { .../** @type {any} */ (before), ...video },
    };
    this.events.push(...this.tracker.observe(this.look));
    return this;
  }

  /** Let time pass without a look. */
  pass(/** @type {number} */ seconds) {
    this.now += seconds * 1000;
    this.ts += seconds * 1000;
    return this;
  }

  /** Play for so many seconds of wall time, looking as often as a page does. */
  play(/** @type {number} */ seconds, /** @type {any} */ video = {}, look_ms = LOOK_MS) {
    this.see({ advancing: true, paused: false, ended: false, ...video });
    for (let left = seconds * 1000; left > 0; left -= look_ms) {
      const step = Math.min(left, look_ms) / 1000;
      this.pass(step);
      const at = /** @type {any} */ (this.look.video);
      this.see({ position_s: at.position_s + step * at.rate });
    }
    return this;
  }

  pause() {
    return this.see({ advancing: false, paused: true });
  }

  /** The spinner: not paused, but nothing moves. */
  stall(/** @type {number} */ seconds) {
    return this.see({ advancing: false }).pass(seconds).see();
  }

  end() {
    return this.see({ advancing: false, paused: true, ended: true });
  }

  close(/** @type {any} */ reason = "leave_watch") {
    this.events.push(...this.tracker.close(reason, { ...this.look, now_ms: this.now, ts: this.ts }));
    return this;
  }

  /** Sums as the pipeline makes them, seconds. */
  get sums() {
    const sums = { fg: 0, bg: 0, ad: 0, views: 0 };
    for (const event of this.events) {
      if (event.event_type === "video_start") {
        sums.views += 1;
      } else if (event.event_type === "watch_tick") {
        const kind = event.ad ? "ad" : event.watch_mode === "background" ? "bg" : "fg";
        sums[kind] += (event.watch_ms_delta ?? 0) / 1000;
      }
    }
    return sums;
  }

  /** @param {string} type */
  of(type) {
    return this.events.filter((event) => event.event_type === type);
  }
}
