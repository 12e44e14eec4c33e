/**
 * The stopwatch: turns observations of a player into schema-1 events.
 *
 * Pure. Time enters with each observation; nothing here looks at a page, a clock or a browser API.
 *
 * What counts, for the stretch between two observations: wall time, and never more than the media's own
 * progress at its rate, and nothing at all when the stretch began paused, stalled or seeking. So a sleeping
 * laptop, a frozen tab or a spinner adds nothing, and 2x speed counts what the clock on the wall says.
 * A player reports its position in small leaps; a quarter second that it was behind may count with the next stretch,
 * so that the sum is right, and still never more than the wall time or the progress.
 *
 * What a view is: the first progress of a video that is no advertisement; again after `ended`; again after a
 * jump back to the start once half of the video was seen (loop, replay).
 */

import { MAX_DELTA_MS } from "../events.js";

/** A tick is sent after this much wall time. */
export const TICK_MS = 10_000;
/** How long the events of a view wait for its channel. */
export const CHANNEL_WAIT_MS = 2_500;
/** Longest stretch believed. Hidden, silent tabs wake once a minute; anything longer was sleep or a freeze. */
export const MAX_GAP_MS = 65_000;
/** A stretch that ends in a jump has no measurable progress: believe this much, one `timeupdate` interval. */
export const JUMP_MS = 300;
/** How far a player's position may lag behind and catch up. */
export const LAG_MS = 250;
/** Ticks end at quarter hours, so that every hour and every local midnight keeps its own time. */
const QUARTER_MS = 900_000;
/** A jump to before this position may be a replay. */
const NEAR_START_S = 2;

/**
 * @typedef {import("../events.js").PageEvent} PageEvent
 *
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
 * @typedef {"pause" | "ended" | "navigate" | "leave_watch" | "unknown"} StopReason
 *
 * @typedef {object} View
 * @property {string} id
 * @property {string} session
 * @property {boolean} started video_start was given
 * @property {boolean} open no video_stop since it last played
 * @property {boolean} ended
 * @property {number} seen_ms media progress without ads
 * @property {number} since_ms monotonic start, from which the channel is waited for
 * @property {Channel | null} channel
 * @property {PageEvent[] | null} held events that wait for the channel; null once they need not
 *
 * @typedef {object} Tick
 * @property {number} opened_ms monotonic
 * @property {number} ms
 * @property {number} content_ms
 * @property {boolean} ad
 * @property {"visible" | "pip" | "none"} seen
 * @property {Observation} from what held at its start
 * @property {Observation} to
 */

export class Tracker {
  /** @type {Observation | null} */
  #last = null;
  /** @type {View | null} */
  #view = null;
  /** @type {Tick | null} */
  #tick = null;
  /** @type {PageEvent[]} */
  #out = [];
  /** Wall time of this stretch of playing that the media's position has not caught up with. */
  #lag_ms = 0;
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
      this.#give({ ...this.#base(next, this.#view), event_type: "visibility_change" });
    }
    if (this.#tick && next.now_ms - this.#tick.opened_ms >= TICK_MS) {
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
    const events = (view?.held ?? []).map((event) => withChannel(event, view?.channel ?? null));
    const tick = view && this.#tick && this.#tickEvent(this.#tick, view, "recovered");
    return tick ? [...events, tick] : events;
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
    const was = last.video;
    const view = this.#view;
    const wall = next.now_ms - last.now_ms;
    if (wall > MAX_GAP_MS) {
      this.#flush("gap");
      return;
    }
    if (!was?.advancing || !view || wall < 0) {
      this.#lag_ms = 0;
      return;
    }
    const is = next.video;
    const same = is !== null && is.id === was.id && is.src === was.src && is.ad === was.ad;
    const progress_ms = is && same ? (is.position_s - was.position_s) * 1000 : -1;
    const jumped = progress_ms < 0;
    const ms = jumped ? Math.min(wall, JUMP_MS) : Math.min(wall + this.#lag_ms, MAX_DELTA_MS, progress_ms / was.rate);
    this.#lag_ms = jumped ? 0 : Math.min(LAG_MS, Math.max(0, wall + this.#lag_ms - ms));
    if (ms > 0) {
      this.#add(ms, ms * was.rate, last, next, was, view);
    }
    if (is && same && jumped && !was.ad && isReplay(view, is)) {
      view.ended = true; // #follow opens the next view
      this.#stop("ended", next);
    }
  }

  /**
   * @param {number} ms
   * @param {number} content_ms
   * @param {Observation} last
   * @param {Observation} next
   * @param {Video} was
   * @param {View} view
   */
  #add(ms, content_ms, last, next, was, view) {
    const seen = last.visible ? "visible" : last.pip ? "pip" : "none";
    const tick = this.#tick;
    const fits =
      tick !== null &&
      tick.seen === seen &&
      tick.ad === was.ad &&
      tick.ms + ms <= MAX_DELTA_MS &&
      Math.floor(tick.to.ts / QUARTER_MS) === Math.floor(next.ts / QUARTER_MS);
    if (!fits) {
      this.#flush("change");
    }
    if (!was.ad && !view.started) {
      view.started = true;
      this.#give({ ...this.#base(last, view), event_type: "video_start" });
    }
    if (!was.ad) {
      view.seen_ms += content_ms;
    }
    this.#tick ??= { opened_ms: last.now_ms, ms: 0, content_ms: 0, ad: was.ad, seen, from: last, to: next };
    this.#tick.ms += ms;
    this.#tick.content_ms += content_ms;
    // The last look that still shows this video: the next one may be another's.
    this.#tick.to = next.video?.id === view.id ? next : { ...last, ts: next.ts };
  }

  /**
   * @param {Video} video
   * @param {Observation} next
   * @param {boolean} ran whether it was advancing at the look before
   */
  #follow(video, next, ran) {
    if (this.#view && video.advancing && !video.ad && (this.#view.ended || (!ran && isReplay(this.#view, video)))) {
      this.#end("ended", next);
    }
    if (!this.#view && video.advancing) {
      this.#view = {
        id: video.id,
        session: this.#newId(),
        started: false,
        open: true,
        ended: false,
        seen_ms: 0,
        since_ms: next.now_ms,
        channel: null,
        held: [],
      };
    }
    const view = this.#view;
    if (!view) {
      return;
    }
    this.#settle(view, video, next);
    if (video.ended && !video.ad) {
      view.ended = true;
      this.#stop("ended", next);
    } else if (video.paused && !video.ended) {
      this.#stop("pause", next);
    } else if (!view.open && video.advancing) {
      view.open = true;
      if (view.started) {
        this.#give({ ...this.#base(next, view), event_type: "player_state_change", new_state: "playing" });
      }
    }
  }

  /**
   * Learn the channel; let go of what waited for it.
   * @param {View} view
   * @param {Video} video
   * @param {Observation} next
   */
  #settle(view, video, next) {
    if (video.channel && (video.channel.sure || view.held === null)) {
      view.channel = video.channel;
    }
    if (view.held === null) {
      return;
    }
    const waited = next.now_ms - view.since_ms >= CHANNEL_WAIT_MS;
    if (waited) {
      view.channel ??= video.channel;
    }
    if (view.channel || waited) {
      this.#release(view);
      if (!view.channel) {
        this.#give({ ...this.#base(next, view), event_type: "context_missing", context_type: "channel" });
      }
    }
  }

  /** @param {View} view */
  #release(view) {
    for (const event of view.held ?? []) {
      this.#out.push(withChannel(event, view.channel));
    }
    view.held = null;
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
      this.#give({ ...this.#base(at, view), event_type: "video_stop", reason });
    }
  }

  /**
   * @param {StopReason} reason
   * @param {Observation} at
   */
  #end(reason, at) {
    this.#stop(reason, at);
    this.#flush(reason);
    if (this.#view) {
      this.#release(this.#view);
    }
    this.#view = null;
  }

  /** @param {string} reason */
  #flush(reason) {
    const event = this.#view && this.#tick && this.#tickEvent(this.#tick, this.#view, reason);
    this.#tick = null;
    if (event) {
      this.#give(event);
    }
  }

  /**
   * @param {Tick} tick
   * @param {View} view
   * @param {string} reason
   * @returns {PageEvent | null}
   */
  #tickEvent(tick, view, reason) {
    const ms = Math.round(tick.ms);
    if (ms < 1) {
      return null;
    }
    /** @type {PageEvent} */
    const event = {
      ...this.#base(tick.to, view),
      event_type: "watch_tick",
      page_type: tick.from.video?.page_type,
      is_visible: tick.from.visible,
      watch_ms_delta: ms,
      watch_mode: tick.seen === "none" ? "background" : "foreground",
      content_ms: Math.round(tick.content_ms),
      position_s: tick.to.video?.position_s,
      playback_rate: tick.from.video?.rate,
      flush_reason: reason,
    };
    if (tick.seen !== "none") {
      event.fg_reason = tick.seen;
    }
    if (tick.ad) {
      event.ad = true;
    }
    return withChannel(event, view.channel);
  }

  /**
   * @param {Observation} at
   * @param {View} view
   * @returns {Omit<PageEvent, "event_type">}
   */
  #base(at, view) {
    return {
      event_ts: at.ts,
      video_id: view.id,
      video_session_id: view.session,
      page_type: at.video?.page_type,
      is_visible: at.visible,
      url: at.url,
      tz_offset_min: at.tz_offset_min,
    };
  }

  /** @param {PageEvent} event */
  #give(event) {
    const view = this.#view;
    if (view?.held) {
      view.held.push(event);
    } else {
      this.#out.push(withChannel(event, view?.channel ?? null));
    }
  }

  #take() {
    const out = this.#out;
    this.#out = [];
    return out;
  }
}

/**
 * At the start, though half of the video was seen already.
 * @param {View} view
 * @param {Video} video
 */
function isReplay(view, { duration_s, position_s }) {
  return (
    Number.isFinite(duration_s) &&
    duration_s > 0 &&
    position_s <= Math.min(NEAR_START_S, duration_s / 2) &&
    view.seen_ms >= (duration_s * 1000) / 2
  );
}

/**
 * @param {PageEvent} event
 * @param {Channel | null} channel
 * @returns {PageEvent}
 */
function withChannel(event, channel) {
  if (!channel) {
    return event;
  }
  return {
    ...event,
    channel_name: channel.name,
    channel_handle: channel.handle,
    channel_id: channel.id,
    channel_url: channel.url,
  };
}
