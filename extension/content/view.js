/**
 * One view of one video: how far it has come, and its events, which wait a moment for the channel.
 *
 * Pure.
 */

/** How long the events of a view wait for its channel. */
const CHANNEL_WAIT_MS = 2_500;
/** A jump to before this position may be a replay. */
const NEAR_START_S = 2;

/**
 * @typedef {import("../events.js").PageEvent} PageEvent
 * @typedef {import("./stopwatch.js").Channel} Channel
 * @typedef {import("./stopwatch.js").Observation} Observation
 * @typedef {import("./stopwatch.js").Video} Video
 */

export class View {
  /** video_start was given */
  started = false;
  /** no video_stop since it last played */
  open = true;
  ended = false;
  /** media progress without ads */
  seen_ms = 0;
  /** @type {Channel | null} */
  #channel = null;
  /** @type {PageEvent[] | null} events that wait for the channel; null once they need not */
  #held = [];
  #session;
  #since_ms;

  /**
   * @param {string} id the video's
   * @param {string} session the view's
   * @param {number} now_ms monotonic, from which the channel is waited for
   */
  constructor(id, session, now_ms) {
    this.id = id;
    this.#session = session;
    this.#since_ms = now_ms;
  }

  /**
   * Make an event of this view.
   * @param {Observation} at
   * @param {Partial<PageEvent> & Pick<PageEvent, "event_type">} told
   * @returns {PageEvent}
   */
  event(at, told) {
    return {
      event_ts: at.ts,
      video_id: this.id,
      video_session_id: this.#session,
      page_type: at.video?.page_type,
      is_visible: at.visible,
      url: at.url,
      tz_offset_min: at.tz_offset_min,
      ...told,
    };
  }

  /**
   * Take an event, to hold it or to name its channel.
   * @param {PageEvent} event
   * @returns {PageEvent[]} what is to be sent now
   */
  give(event) {
    if (this.#held) {
      this.#held.push(event);
      return [];
    }
    return [this.named(event)];
  }

  /**
   * Learn the channel; let go of what waited for it.
   * @param {Video} video
   * @param {Observation} next
   * @returns {PageEvent[]} what is to be sent now
   */
  settle(video, next) {
    if (video.channel && (video.channel.sure || this.#held === null)) {
      this.#channel = video.channel;
    }
    if (this.#held === null) {
      return [];
    }
    const waited = next.now_ms - this.#since_ms >= CHANNEL_WAIT_MS;
    if (waited) {
      this.#channel ??= video.channel;
    }
    if (this.#channel) {
      return this.release();
    }
    return waited
      ? [...this.release(), this.event(next, { event_type: "context_missing", context_type: "channel" })]
      : [];
  }

  /** Stop waiting for the channel. */
  release() {
    const events = this.waiting();
    this.#held = null;
    return events;
  }

  /** The events that wait, as they would be sent now. */
  waiting() {
    return (this.#held ?? []).map((event) => this.named(event));
  }

  /**
   * Say whose video it is, as far as that is known.
   * @param {PageEvent} event
   * @returns {PageEvent}
   */
  named(event) {
    const channel = this.#channel;
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

  /**
   * At the start, though half of the video was seen already.
   * @param {Video} video
   */
  isReplay({ duration_s, position_s }) {
    return (
      Number.isFinite(duration_s) &&
      duration_s > 0 &&
      position_s <= Math.min(NEAR_START_S, duration_s / 2) &&
      this.seen_ms >= (duration_s * 1000) / 2
    );
  }
}
