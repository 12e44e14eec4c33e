/**
 * Watches the players of one page: listens, looks, and hands what the tracker makes of it to the service worker.
 * Runs once in each frame; the clock lives here, because a service worker may die at any moment.
 */

import * as ext from "../ext.js";
import { Outbox } from "./outbox.js";
import { isEmbedded, Page, PAGE_EVENTS, plainUrl, VIDEO_EVENTS } from "./page.js";
import { Tracker } from "./tracker.js";

/** How often the running tick is put where a dying browser cannot lose it, ms. */
const KEEP_MS = 500;
/** Slow look for whatever no event tells, ms. */
const IDLE_LOOK_MS = 1_000;
const GREET_AGAIN_MS = 2_000;

/** What the person allowed: written by the service worker, read by pages. */
export const MEASURE = "measure";
/** @typedef {{on: boolean, embeds: boolean, life: number}} Measure `life` is another one after all was forgotten */

/** Start watching as soon as, and as long as, the person allows it. */
export async function start() {
  // The first word goes to the worker: it sorts out what an earlier run left behind before this page adds to it.
  let allowed = await greet();
  /** @type {Watcher | null} */
  let watcher = null;
  const follow = () => {
    const wanted = allowed.on && (allowed.embeds || !isEmbedded());
    if (watcher && watcher.life !== allowed.life) {
      watcher.forget();
      watcher = null;
    }
    if (wanted && !watcher) {
      watcher = new Watcher(allowed.life);
    } else if (!wanted && watcher) {
      watcher.stop("unknown");
      watcher = null;
    }
  };
  ext.onLocalChange(MEASURE, (measure) => {
    allowed = measure ?? { on: false, embeds: false, life: 0 };
    follow();
  });
  window.addEventListener("pageshow", async ({ persisted }) => {
    if (persisted && ext.isAlive()) {
      allowed = await greet(); // a page that lay frozen hears of no change
      follow();
    }
  });
  follow();
}

/** @returns {Promise<Measure>} */
async function greet() {
  for (;;) {
    try {
      return await ext.ask({ kind: "hello" });
    } catch (error) {
      if (!ext.isAlive()) {
        throw error;
      }
      // A worker that is being replaced right now has no ears for a moment.
      await new Promise((resolve) => setTimeout(resolve, GREET_AGAIN_MS));
    }
  }
}

class Watcher {
  #page = new Page();
  #tracker = new Tracker({ newId: () => crypto.randomUUID() });
  #outbox = new Outbox(crypto.randomUUID(), {
    ask: (message) => ext.ask({ ...message, life: this.life }),
    save: (key, value) => ext.localWrite(key, { ...value, life: this.life }),
    remove: ext.localRemove,
    later: (run, ms) => ext.isAlive() && setTimeout(run, ms),
    ts: Date.now,
    failed: (error) => this.#failed(error),
  });
  #listening = new AbortController();
  #adWatch = new MutationObserver(() => this.#look());
  /** @type {Element | null} */
  #player = null;
  #kept_ms = 0;
  #timer;

  /** @param {number} life */
  constructor(life) {
    this.life = life;
    const { signal } = this.#listening;
    const look = () => this.#look();
    for (const name of VIDEO_EVENTS) {
      // Media events do not bubble, but they are captured, whichever element plays and whenever it appears.
      document.addEventListener(name, look, { capture: true, signal });
    }
    for (const name of PAGE_EVENTS) {
      window.addEventListener(name, look, { capture: true, signal });
    }
    document.addEventListener("visibilitychange", look, { signal });
    window.addEventListener("pagehide", () => this.#leave(), { signal });
    this.#timer = setInterval(look, IDLE_LOOK_MS);
    this.#look();
  }

  /** @param {"unknown" | "leave_watch"} reason */
  stop(reason) {
    if (ext.isAlive()) {
      this.#close(reason);
    }
    this.#end();
  }

  /** Stop, and leave nothing of what was seen. */
  forget() {
    this.#outbox.drop();
    this.#end();
  }

  #end() {
    this.#listening.abort();
    this.#adWatch.disconnect();
    clearInterval(this.#timer);
  }

  #look() {
    if (!ext.isAlive()) {
      this.stop("unknown"); // the extension was updated; its storage still has the running tick
      return;
    }
    const seen = this.#page.look();
    if (seen && seen.player !== this.#player) {
      this.#player = seen.player;
      this.#adWatch.disconnect();
      this.#adWatch.observe(seen.player, { attributeFilter: ["class"] });
    }
    const now_ms = performance.now();
    const events = this.#tracker.observe(this.#observation(seen));
    this.#outbox.add(events);
    if (events.length > 0 || (this.#tracker.counting && now_ms - this.#kept_ms >= KEEP_MS)) {
      this.#kept_ms = now_ms;
      this.#outbox.keep(this.#tracker.pending());
    }
  }

  #leave() {
    if (ext.isAlive()) {
      this.#close("leave_watch");
    }
  }

  /** @param {"unknown" | "leave_watch"} reason */
  #close(reason) {
    this.#outbox.add(this.#tracker.close(reason, this.#observation(this.#page.look())));
    this.#outbox.keep([]);
  }

  /**
   * @param {ReturnType<Page["look"]>} seen
   * @returns {import("./stopwatch.js").Observation}
   */
  #observation(seen) {
    return {
      now_ms: performance.now(),
      ts: Date.now(),
      visible: document.visibilityState === "visible",
      pip: seen !== null && document.pictureInPictureElement === seen.element,
      url: plainUrl(),
      tz_offset_min: new Date().getTimezoneOffset(),
      video: seen?.video ?? null,
    };
  }

  /** @param {unknown} error */
  #failed(error) {
    if (ext.isAlive()) {
      console.warn("Watchtime: the background did not take the events yet; trying again.", error);
    } else {
      this.stop("unknown");
    }
  }
}
