/**
 * The page's side of handing events to the service worker, exactly once.
 *
 * Every event gets a number; the worker stores numbers it has not seen and says up to which it has. What is
 * not yet said to be stored, and the tick still being counted, lie in the extension's storage all the while,
 * so that a page, a tab or a browser may die at any moment: the worker finds them there (background/recover.js).
 */

/** Waiting times between attempts while the worker does not answer, ms. */
const RETRY_MS = [250, 1_000, 3_000, 10_000, 30_000];
/** More than the worker can ever be behind; the oldest go first, and are counted. */
const MAX_WAITING = 2_000;
const MAX_MESSAGE = 100;

/** First part of the storage keys under which outboxes lie. */
export const OUTBOX = "outbox:";

/**
 * @typedef {import("../events.js").PageEvent} PageEvent
 * @typedef {{n: number, event: PageEvent}} Item
 * @typedef {{saved_ts: number, items: Item[]}} SavedOutbox
 *
 * @typedef {object} OutboxSeams
 * @property {(message: {kind: "events", source: string, items: Item[], lost: number}) => Promise<{stored: number}>} ask
 * @property {(key: string, value: SavedOutbox) => Promise<void>} save
 * @property {(key: string) => Promise<void>} remove
 * @property {(run: () => void, ms: number) => void} later
 * @property {() => number} ts epoch ms
 * @property {(error: unknown) => void} failed
 */

export class Outbox {
  /** @type {Item[]} */
  #waiting = [];
  /** @type {PageEvent[]} */
  #draft = [];
  #next = 1;
  #attempt = 0;
  #busy = false;
  #lost = 0;
  #saved = false;
  #source;
  #seams;

  /**
   * @param {string} source a random name for this page's life
   * @param {OutboxSeams} seams
   */
  constructor(source, seams) {
    this.#source = source;
    this.#seams = seams;
  }

  /** @param {PageEvent[]} events */
  add(events) {
    if (events.length === 0) {
      return;
    }
    for (const event of events) {
      this.#waiting.push(this.#number(event, this.#next++));
    }
    this.#draft = [];
    const surplus = this.#waiting.length - MAX_WAITING;
    if (surplus > 0) {
      this.#waiting.splice(0, surplus);
      this.#lost += surplus;
    }
    this.#save();
    this.#pump();
  }

  /**
   * Keep what would be added if the page ended now.
   * @param {PageEvent[]} events
   */
  keep(events) {
    if (events.length > 0 || this.#draft.length > 0) {
      this.#draft = events;
      this.#save();
    }
  }

  /** Let go of everything: the person wants it forgotten. */
  drop() {
    this.#waiting = [];
    this.#draft = [];
    this.#lost = 0;
    this.#save();
  }

  /**
   * The same number always gives the same id, so a draft and the event that it becomes are one.
   * @param {PageEvent} event
   * @param {number} n
   */
  #number(event, n) {
    return { n, event: { ...event, event_id: `${this.#source}-${n}` } };
  }

  #save() {
    const key = OUTBOX + this.#source;
    const items = [...this.#waiting, ...this.#draft.map((event, i) => this.#number(event, this.#next + i))];
    if (items.length > 0) {
      this.#saved = true;
      this.#seams.save(key, { saved_ts: this.#seams.ts(), items }).catch(this.#seams.failed);
    } else if (this.#saved) {
      this.#saved = false;
      this.#seams.remove(key).catch(this.#seams.failed);
    }
  }

  #pump() {
    const items = this.#waiting.slice(0, MAX_MESSAGE);
    if (this.#busy || items.length === 0) {
      return;
    }
    this.#busy = true;
    const lost = this.#lost;
    this.#seams.ask({ kind: "events", source: this.#source, items, lost }).then(
      ({ stored }) => {
        this.#busy = false;
        this.#attempt = 0;
        this.#lost -= lost;
        this.#waiting = this.#waiting.filter((item) => item.n > stored);
        this.#save();
        this.#pump();
      },
      (error) => {
        this.#busy = false;
        this.#seams.failed(error);
        this.#seams.later(() => this.#pump(), RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)] ?? 0);
        this.#save(); // renews saved_ts: this page lives
      },
    );
  }
}
