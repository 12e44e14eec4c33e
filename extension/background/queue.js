/**
 * The queue of events in IndexedDB: the first place that an event reaches, the last that it leaves.
 *
 * An event gets its place in the run (`seq`) in the transaction that stores it, so a sequence number is saved
 * before it is ever sent and never given twice. The same transaction remembers how far each page has got, so a page
 * that asks again, unsure whether it was heard, adds nothing.
 */

import { eventBytes, MAX_EVENT_BYTES, wireEvent } from "../events.js";
import { addEvent, DAYS_KEPT, emptyDay, localDate } from "./days.js";
import { done, open, transact } from "./database.js";

const DAY_MS = 86_400_000;
/** Kept at most so long and so many; the oldest go first, and are counted. */
export const KEEP_MS = 14 * DAY_MS;
export const KEEP_EVENTS = 50_000;
/** A page that has been silent for so long is gone. */
const FORGET_PAGE_MS = 7 * DAY_MS;

const EVENTS = "events";
const PAGES = "pages";
const DAYS = "days";
const META = "meta";

/**
 * @typedef {import("../events.js").WireEvent} WireEvent
 * @typedef {import("./days.js").Day} Day
 * @typedef {{n: number, event: import("../events.js").PageEvent}} Item
 * @typedef {{key: number, queued_ts: number, event: WireEvent}} Queued
 *
 * Events that will never be sent, by reason.
 * @typedef {Record<string, number>} Dropped
 */

/** Reasons of the queue's own. */
export const TOO_OLD = "older than 14 days";
export const TOO_MANY = "more than 50,000 waiting";
export const TOO_LARGE = "event too large";
export const LOST_IN_PAGE = "lost before they could be stored";

export class Queue {
  #database;

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
  }

  /**
   * @param {string} [name]
   * @param {() => void} [closed] called when the browser has closed it; open another
   */
  static async open(name = "watchtime", closed = () => {}) {
    const database = await open(name, 1, (fresh) => {
      fresh.createObjectStore(EVENTS, { keyPath: "key", autoIncrement: true });
      fresh.createObjectStore(PAGES, { keyPath: "source" });
      fresh.createObjectStore(DAYS, { keyPath: "date" });
      fresh.createObjectStore(META);
    }, closed);
    return new Queue(database);
  }

  close() {
    this.#database.close();
  }

  /**
   * Begin a run of the browser: sequence numbers start anew under a new epoch.
   * @param {string} epoch random
   */
  async begin(epoch) {
    await this.#write([META], async (store) => {
      await done(store(META).put({ epoch, next: 0 }, "counter"));
    });
  }

  /** @returns {Promise<string | undefined>} epoch of the run that this queue counts in */
  async epoch() {
    return (await this.#meta("counter"))?.epoch;
  }

  /** @returns {Promise<string>} the name of this browser profile, made when first asked for */
  async client() {
    return this.#write([META], async (store) => {
      const known = await done(store(META).get("client"));
      const client = known ?? crypto.randomUUID();
      await done(store(META).put(client, "client"));
      return client;
    });
  }

  /**
   * Store what a page hands over, each item once however often it comes.
   * @param {{source: string, items: Item[], lost?: number, tab_id: string, now_ts: number}} handover
   * @returns {Promise<number>} the number up to which this page's items are stored
   */
  async add({ source, items, lost = 0, tab_id, now_ts }) {
    return this.#write([EVENTS, PAGES, DAYS, META], async (store) => {
      const page = (await done(store(PAGES).get(source))) ?? { source, stored: 0 };
      const counter = (await done(store(META).get("counter"))) ?? { epoch: crypto.randomUUID(), next: 0 };
      const client_session_id = (await done(store(META).get("client"))) ?? crypto.randomUUID();
      /** @type {Dropped} */
      const dropped = {};
      for (const { n, event } of items) {
        if (n <= page.stored) {
          continue;
        }
        page.stored = n;
        const wire = wireEvent(event, { client_session_id, tab_id, seq_epoch: counter.epoch, seq: counter.next });
        if (eventBytes(wire) > MAX_EVENT_BYTES) {
          dropped[TOO_LARGE] = (dropped[TOO_LARGE] ?? 0) + 1;
          continue;
        }
        counter.next += 1;
        await done(store(EVENTS).add({ queued_ts: now_ts, event: wire }));
        await addToDay(store(DAYS), wire);
      }
      if (lost > 0) {
        dropped[LOST_IN_PAGE] = lost;
      }
      await done(store(PAGES).put({ ...page, seen_ts: now_ts }));
      await done(store(META).put(counter, "counter"));
      await done(store(META).put(client_session_id, "client"));
      await countDropped(store(META), dropped);
      return page.stored;
    });
  }

  /**
   * @param {number} count
   * @returns {Promise<Queued[]>} the oldest
   */
  async oldest(count) {
    return this.#read([EVENTS], (store) => done(store(EVENTS).getAll(null, count)));
  }

  /** @returns {Promise<WireEvent[]>} everything that waits, oldest first */
  async all() {
    const queued = await this.#read([EVENTS], (store) => done(store(EVENTS).getAll()));
    return queued.map(({ event }) => event);
  }

  /**
   * Let go of events that were delivered, or that never will be.
   * @param {number[]} keys
   * @param {Dropped} [dropped]
   */
  async remove(keys, dropped = {}) {
    await this.#write([EVENTS, META], async (store) => {
      for (const key of keys) {
        await done(store(EVENTS).delete(key));
      }
      await countDropped(store(META), dropped);
    });
  }

  /**
   * Keep within the limits; forget pages and days that are long gone.
   * @param {number} now_ts
   * @param {{keep_ms?: number, keep_events?: number}} [limits]
   */
  async trim(now_ts, { keep_ms = KEEP_MS, keep_events = KEEP_EVENTS } = {}) {
    await this.#write([EVENTS, PAGES, DAYS, META], async (store) => {
      const surplus = (await done(store(EVENTS).count())) - keep_events;
      let many = 0;
      let old = 0;
      await walk(store(EVENTS), (cursor) => {
        if (many < surplus) {
          many += 1;
        } else if (cursor.value.queued_ts < now_ts - keep_ms) {
          old += 1;
        } else {
          return false; // the rest is younger
        }
        cursor.delete();
        return true;
      });
      await countDropped(store(META), { [TOO_MANY]: many, [TOO_OLD]: old });
      await walk(store(PAGES), (cursor) => {
        if (cursor.value.seen_ts < now_ts - FORGET_PAGE_MS) {
          cursor.delete();
        }
        return true;
      });
      const first = new Date(now_ts - DAYS_KEPT * DAY_MS).toISOString().slice(0, 10);
      await done(store(DAYS).delete(IDBKeyRange.upperBound(first)));
    });
  }

  /** @returns {Promise<{waiting: number, oldest_ts: number | null, dropped: Dropped}>} */
  async state() {
    return this.#read([EVENTS, META], async (store) => {
      const waiting = await done(store(EVENTS).count());
      const [first] = await done(store(EVENTS).getAll(null, 1));
      return { waiting, oldest_ts: first?.queued_ts ?? null, dropped: (await done(store(META).get("dropped"))) ?? {} };
    });
  }

  /**
   * @param {string} date YYYY-MM-DD, local
   * @returns {Promise<Day>}
   */
  async day(date) {
    return (await this.#read([DAYS], (store) => done(store(DAYS).get(date)))) ?? emptyDay(date);
  }

  /** Forget that events were dropped: the person has seen it. */
  async clearDropped() {
    await this.#write([META], (store) => done(store(META).delete("dropped")));
  }

  /** Erase everything: the next event comes from somebody new. */
  async erase() {
    // Pages stay known: a page still open must not hand over again what was just erased.
    const names = [EVENTS, DAYS, META];
    await this.#write(names, async (store) => {
      for (const name of names) {
        await done(store(name).clear());
      }
    });
  }

  /** @param {string} key */
  #meta(key) {
    return this.#read([META], (store) => done(store(META).get(key)));
  }

  /**
   * @template T
   * @param {string[]} stores
   * @param {(store: (name: string) => IDBObjectStore) => Promise<T>} work
   */
  #read(stores, work) {
    return transact(this.#database, stores, "readonly", work);
  }

  /**
   * @template T
   * @param {string[]} stores
   * @param {(store: (name: string) => IDBObjectStore) => Promise<T>} work
   */
  #write(stores, work) {
    return transact(this.#database, stores, "readwrite", work);
  }
}

/**
 * @param {IDBObjectStore} days
 * @param {WireEvent} event
 */
async function addToDay(days, event) {
  const date = localDate(event.event_ts, event.tz_offset_min ?? 0);
  const day = (await done(days.get(date))) ?? emptyDay(date);
  await done(days.put(addEvent(day, event)));
}

/**
 * @param {IDBObjectStore} meta
 * @param {Dropped} more
 */
async function countDropped(meta, more) {
  const reasons = Object.entries(more).filter(([, count]) => count > 0);
  if (reasons.length === 0) {
    return;
  }
  const dropped = (await done(meta.get("dropped"))) ?? {};
  for (const [reason, count] of reasons) {
    dropped[reason] = (dropped[reason] ?? 0) + count;
  }
  await done(meta.put(dropped, "dropped"));
}

/**
 * Visit records in key order until `visit` says false.
 * @param {IDBObjectStore} store
 * @param {(cursor: IDBCursorWithValue) => boolean} visit
 * @returns {Promise<void>}
 */
function walk(store, visit) {
  return new Promise((resolve, reject) => {
    const request = store.openCursor();
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor && visit(cursor)) {
        cursor.continue();
      } else {
        resolve();
      }
    };
  });
}
