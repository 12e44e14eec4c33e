/**
 * The service worker: takes events from pages, keeps them, delivers them, answers popup and options.
 *
 * The browser stops it whenever it likes. So every listener is registered while this file first runs, each waits until
 * the queue is open, and everything worth keeping is in storage before it is answered for.
 */

import * as ext from "../ext.js";
import { Delivery } from "./deliver.js";
import { enroll, installOf } from "./enroll.js";
import { localDate } from "./days.js";
import { post } from "./post.js";
import { Queue } from "./queue.js";
import { abandoned, DEAD_AFTER_MS, outboxes } from "./recover.js";
import { DEFAULTS, hostPattern, measureOf, parseAddress } from "./settings.js";

const ALARM = "flush";
const ALARM_MINUTES = 1;
const TEST_TIMEOUT_MS = 10_000;
/** Stored under these names. */
const SETTINGS = "settings";
const MEASURE = "measure";
const DELIVERY = "delivery";
const RUN = "run";

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {{tabId: number | undefined, fromExtensionPage: boolean}} From */

/** @type {Promise<Queue> | null} */
let opening = null;

/** The queue; opened anew after it could not be, or was closed, since a worker with a page to serve may live for days. */
function ready() {
  if (opening) {
    return opening;
  }
  const attempt = prepare(() => reopen(attempt)).catch(async (error) => {
    reopen(attempt);
    await ext.badge("!", "#b3261e", `Watchtime: the browser's storage does not work (${error}); nothing is measured`);
    throw error;
  });
  opening = attempt;
  return attempt;
}

/** @param {Promise<Queue>} failed what a later attempt takes the place of, unless one has */
function reopen(failed) {
  opening = opening === failed ? null : opening;
}

const delivery = new Delivery({
  queue: {
    oldest: async (count) => (await ready()).oldest(count),
    remove: async (keys, dropped) => (await ready()).remove(keys, dropped),
  },
  target: async () => {
    const { address, token, consented_ts } = await settings();
    return { address, token, on: consented_ts !== null };
  },
  fetch: (...request) => fetch(...request),
  load: () => ext.localRead(DELIVERY),
  save: async (state) => {
    await ext.localWrite(DELIVERY, state);
    await mark();
  },
  later: (run, ms) => setTimeout(run, ms),
  ts: Date.now,
  random: Math.random,
});

ext.onMessage(async (message, from) => {
  const queue = await ready();
  const handlers = from.fromExtensionPage ? { ...forPages, ...forPeople } : forPages;
  const handler = /** @type {Record<string, (queue: Queue, message: any, from: From) => Promise<unknown>>} */ (handlers)[message.kind];
  if (!handler) {
    throw new Error(`Unknown message "${message.kind}"`);
  }
  return handler(queue, message, from);
});
ext.onAlarm(() => void upkeep());
ext.onBrowserStart(() => void upkeep());
ext.onInstalled((why) => {
  void welcome(why);
});

/**
 * A new installation says first what it does; one that was put back (same profile, known answer) need not.
 * @param {string} why
 */
async function welcome(why) {
  if (why === "install" && (await settings()).consented_ts === null) {
    await ext.openPage("consent/consent.html");
  }
  if (why === "install" || why === "update") {
    await ext.enterOpenPages();
  }
  await ready();
  await mark();
}

/** What any page's script may ask. */
const forPages = {
  hello: async () => measureOf(await settings()),

  /** @param {Queue} queue @param {any} message @param {From} from */
  events: async (queue, { source, items, lost, life }, from) => {
    if (life !== (await settings()).life) {
      return { stored: items.at(-1).n }; // the page has not heard yet that all is to be forgotten
    }
    try {
      return { stored: await queue.add({ source, items, lost, tab_id: String(from.tabId ?? "none"), now_ts: Date.now() }) };
    } finally {
      void delivery.run(); // on a full disk, too: what is delivered makes room
    }
  },
};

/** What only the extension's own pages may ask. */
const forPeople = {
  /** @param {Queue} queue */
  status: async (queue) => {
    const now = new Date();
    const current = await settings();
    const own = await queue.client();
    return {
      settings: current,
      client: installOf(current.token) ?? own,
      own,
      today: await queue.day(localDate(now.getTime(), now.getTimezoneOffset())),
      queue: await queue.state(),
      delivery: await delivery.state(),
    };
  },

  /** @param {Queue} _queue @param {{change: Partial<Settings>}} message */
  change: (_queue, { change }) => changeSettings(change),

  /** @param {Queue} _queue @param {{address: string, token: string, invite: string}} message */
  enroll: async (_queue, { address, token, invite }) => {
    const wanted = parseAddress(address);
    const given = await enroll({ address: wanted, token, invite }, (...request) => fetch(...request));
    await changeSettings({ address: wanted, token: given.token });
    return given;
  },

  deliver: () => delivery.run({ now: true }),

  /** @param {Queue} _queue @param {{address: string, token: string}} message */
  test: (_queue, { address, token }) => probe(parseAddress(address), token),

  /** @param {Queue} queue */
  seenDropped: async (queue) => {
    await queue.clearDropped();
    await mark();
  },

  /** @param {Queue} queue */
  forget: async (queue) => {
    // First of all open pages: what they have not handed over is forgotten, and their views get other names.
    await changeSettings({ life: (await settings()).life + 1 });
    await queue.erase();
    await ext.localRemove([DELIVERY, ...outboxes(await ext.localReadAll()).map(([key]) => key)]);
    await newRun(queue);
    await mark();
  },
};

/**
 * @param {() => void} closed called when the browser has closed the queue
 * @returns {Promise<Queue>}
 */
async function prepare(closed) {
  const queue = await Queue.open(undefined, closed);
  const run = await ext.sessionRead(RUN);
  // A profile restored from a copy would count on from an old number: a new run never does.
  if (!run || run !== (await queue.epoch())) {
    const begun_ts = Date.now();
    await newRun(queue);
    // Without a run in this browser no page lives; with one, the queue was lost under pages that do.
    await recover(queue, run ? begun_ts - DEAD_AFTER_MS : begun_ts).catch((error) => {
      // Such as a full disk, which is no reason not to deliver. upkeep() tries again.
      console.warn("Watchtime: what an earlier run left is not taken in yet; trying again.", error);
    });
  }
  await ext.repeatAlarm(ALARM, ALARM_MINUTES);
  return queue;
}

/** @param {Queue} queue */
async function newRun(queue) {
  const epoch = crypto.randomUUID();
  await queue.begin(epoch);
  await ext.sessionWrite(RUN, epoch);
}

/** The minute's work: take in what dead pages left, keep the limits, deliver. */
async function upkeep() {
  const queue = await ready();
  const now_ts = Date.now();
  try {
    await recover(queue, now_ts - DEAD_AFTER_MS);
    await queue.trim(now_ts);
  } finally {
    await delivery.run(); // on a full disk, too: what is delivered makes room
    await mark();
  }
}

/**
 * @param {Queue} queue
 * @param {number} before_ts
 */
async function recover(queue, before_ts) {
  for (const { key, source, items, life } of abandoned(await ext.localReadAll(), before_ts)) {
    if (life === (await settings()).life) {
      await queue.add({ source, items, tab_id: "none", now_ts: Date.now() });
    }
    await ext.localRemove(key); // after the queue has it
  }
}

/**
 * @param {Partial<Settings>} change
 * @returns {Promise<Settings>}
 */
async function changeSettings(change) {
  const before = await settings();
  const after = { ...before, ...change, address: parseAddress(change.address ?? before.address) };
  await ext.localWrite(SETTINGS, after);
  await ext.localWrite(MEASURE, measureOf(after));
  await mark();
  if (after.address !== before.address || after.token !== before.token) {
    void delivery.run({ now: true });
  }
  return after;
}

/** @returns {Promise<Settings>} */
async function settings() {
  return { ...DEFAULTS, ...(await ext.localRead(SETTINGS)) };
}

/**
 * Ask an address whether it is a gateway that would take this extension's events. Sends none.
 * @param {string} address
 * @param {string} token
 * @returns {Promise<{ok: boolean, says: string}>}
 */
async function probe(address, token) {
  if (!(await ext.mayReach(hostPattern(address)))) {
    return { ok: false, says: `The browser does not let this extension reach ${address}. Save the address and allow it.` };
  }
  try {
    const { status, body } = await post(`${address}/ingest`, { events: [] }, { ask: fetch, token, timeout_ms: TEST_TIMEOUT_MS });
    if (status === 200 && body?.ok === true) {
      return { ok: true, says: "The gateway is there and takes this extension's events." };
    }
    return { ok: false, says: `It answered ${status}${body?.error ? `: ${body.error}` : ""}.` };
  } catch {
    return { ok: false, says: `Nothing answers at ${address}. Is the gateway running?` };
  }
}

/** Show on the toolbar button what wants attention. */
async function mark() {
  const { consented_ts, paused } = await settings();
  const { error } = await delivery.state();
  if (consented_ts === null) {
    await ext.badge("?", "#8a5a00", "Watchtime: waiting for your consent");
  } else if (paused) {
    await ext.badge("II", "#5f6368", "Watchtime: paused");
  } else if (error) {
    await ext.badge("!", "#b3261e", `Watchtime: ${error}`);
  } else {
    await ext.badge("", "#5f6368", "Watchtime");
  }
}
