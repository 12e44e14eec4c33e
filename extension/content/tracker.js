/**
 * Turns observations of a player into schema-1 events: which views there are, and which time is whose.
 *
 * Pure. Time enters with each observation; nothing here looks at a page, a clock or a browser API.
 *
 * What a view is: the first progress of a video that is no advertisement; again after `ended`; again after a
 * jump back to the start once half of the video was seen (loop, replay).
 */

import { Stopwatch } from "./stopwatch.js";
import { Tick } from "./tick.js";
import { View } from "./view.js";

/** Longest stretch believed. Hidden, silent tabs wake once a minute; anything longer was sleep or a freeze. */
const MAX_GAP_MS = 65_000;

/**
 * @typedef {import("../events.js").PageEvent} PageEvent
 * @typedef {import("./stopwatch.js").Observation} Observation
 * @typedef {import("./stopwatch.js").Stretch} Stretch
 * @typedef {import("./stopwatch.js").Video} Video
 *
 * @typedef {"pause" | "ended" | "navigate" | "leave_watch" | "unknown"} StopReason
 */

export class Tracker {
  #stopwatch = new Stopwatch();
  /** @type {Observation | null} */
  #last = null;
  /** @type {View | null} */
  #view = null;
  /** @type {Tick | null} */
  #tick = null;
  /** @type {PageEvent[]} */
  #out = [];
  #newId;

  /** @param {{newId: () => string}} options newId names each view */
  constructor({ newId }) {
    this.#newId = newId;
  }

  /**
   * Take the next look at the player.
   * @param {Observation} next
   * @returns {PageEvent[]} what is to be sent now, in order
   */
  observe(next) {
    const last = this.#last;
    this.#last = next;
    const video = next.video;
    if (last) {
      this.#credit(last, next);
    }
    if (this.#view && this.#view.id !== video?.id) {
      // The new look shows another page already; the end belongs to the old one.
      this.#end(video ? "navigate" : "leave_watch", last ? { ...last, ts: next.ts } : next);
    }
    if (video) {
      this.#follow(video, next, last?.video?.advancing === true);
    }
    if (last && this.#view?.started && last.visible !== next.visible) {
      this.#flush("visibility");
      this.#give(this.#view, next, { event_type: "visibility_change" });
    }
    if (this.#tick?.isDue(next.now_ms)) {
      this.#flush("interval");
    }
    return this.#take();
  }

  /**
   * End the view, because the page goes or measuring stops.
   * @param {StopReason} reason
   * @param {Observation} at
   * @returns {PageEvent[]}
   */
  close(reason, at) {
    if (this.#last) {
      this.#credit(this.#last, at);
    }
    this.#end(reason, at);
    this.#last = null;
    return this.#take();
  }

  /**
   * What would be sent if the page died now; the caller keeps it where a dead page cannot lose it.
   * @returns {PageEvent[]}
   */
  pending() {
    const view = this.#view;
    if (!view) {
      return [];
    }
    const told = this.#tick?.told("recovered");
    return this.#tick && told ? [...view.waiting(), view.named(view.event(this.#tick.to, told))] : view.waiting();
  }

  /** True while time is being counted. */
  get counting() {
    return this.#tick !== null;
  }

  /**
   * @param {Observation} last
   * @param {Observation} next
   */
  #credit(last, next) {
    // In sleep the page's own clock may stand still. The tick then ends as it lies in the outbox, where it may have been
    // taken for a dead page's. A clock that was set forward looks the same and costs this one stretch.
    if (Math.max(next.now_ms - last.now_ms, next.ts - last.ts) > MAX_GAP_MS) {
      this.#flush("gap");
      return;
    }
    const view = this.#view;
    const stretch = this.#stopwatch.measure(last, next);
    if (!view || !stretch) {
      return;
    }
    if (stretch.ms > 0) {
      this.#add(stretch, last, next, view);
    }
    if (stretch.back && next.video && !stretch.video.ad && view.isReplay(next.video)) {
      view.ended = true; // #follow opens the next view
      this.#stop("ended", next);
    }
  }

  /**
   * @param {Stretch} stretch
   * @param {Observation} last
   * @param {Observation} next
   * @param {View} view
   */
  #add(stretch, last, next, view) {
    const { ad } = stretch.video;
    if (!this.#tick?.fits(stretch, last, next)) {
      this.#flush("change");
    }
    if (!ad && !view.started) {
      view.started = true;
      this.#give(view, last, { event_type: "video_start" });
    }
    if (!ad) {
      view.seen_ms += stretch.content_ms;
    }
    this.#tick ??= new Tick(last, ad);
    // The last look that still shows this video: the next one may be another's.
    this.#tick.add(stretch, next.video?.id === view.id ? next : { ...last, ts: next.ts });
  }

  /**
   * @param {Video} video
   * @param {Observation} next
   * @param {boolean} ran whether it was advancing at the look before
   */
  #follow(video, next, ran) {
    if (this.#view && video.advancing && !video.ad && (this.#view.ended || (!ran && this.#view.isReplay(video)))) {
      this.#end("ended", next);
    }
    if (!this.#view && video.advancing) {
      this.#view = new View(video.id, this.#newId(), next.now_ms);
    }
    const view = this.#view;
    if (!view) {
      return;
    }
    this.#out.push(...view.settle(video, next));
    if (video.ended && !video.ad) {
      view.ended = true;
      this.#stop("ended", next);
    } else if (video.paused && !video.ended) {
      this.#stop("pause", next);
    } else if (!view.open && video.advancing) {
      view.open = true;
      if (view.started) {
        this.#give(view, next, { event_type: "player_state_change", new_state: "playing" });
      }
    }
  }

  /**
   * @param {StopReason} reason
   * @param {Observation} at
   */
  #stop(reason, at) {
    const view = this.#view;
    if (!view?.open) {
      return;
    }
    this.#flush(reason);
    view.open = false;
    if (view.started) {
      this.#give(view, at, { event_type: "video_stop", reason });
    }
  }

  /**
   * @param {StopReason} reason
   * @param {Observation} at
   */
  #end(reason, at) {
    this.#stop(reason, at);
    this.#flush(reason);
    this.#out.push(...(this.#view?.release() ?? []));
    this.#view = null;
  }

  /** @param {string} reason */
  #flush(reason) {
    const tick = this.#tick;
    this.#tick = null;
    const told = tick?.told(reason);
    if (this.#view && tick && told) {
      this.#give(this.#view, tick.to, told);
    }
  }

  /**
   * @param {View} view
   * @param {Observation} at
   * @param {Partial<PageEvent> & Pick<PageEvent, "event_type">} told
   */
  #give(view, at, told) {
    this.#out.push(...view.give(view.event(at, told)));
  }

  #take() {
    const out = this.#out;
    this.#out = [];
    return out;
  }
}
