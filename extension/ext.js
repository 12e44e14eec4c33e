/**
 * The only module that touches `chrome.*` (`browser.*` in Firefox).
 *
 * Everything else asks here, which keeps the rest testable without a browser and shows in one place what
 * the extension needs of it.
 */

/** @type {typeof chrome} */
const api = /** @type {any} */ (globalThis).browser ?? globalThis.chrome;

/** False once this script belongs to an extension that was updated, reloaded or removed. */
export function isAlive() {
  // The runtime object outlives its extension in old content scripts, but loses its id.
  return Boolean(api.runtime?.id);
}

/** @param {string} path */
export const openPage = (path) => api.tabs.create({ url: api.runtime.getURL(path) });
export const openOptions = () => api.runtime.openOptionsPage();

/**
 * Answer messages. Must be called while the worker's script first runs, or a waking worker misses the message.
 * @param {(message: any, sender: {tabId: number | undefined, fromExtensionPage: boolean}) => Promise<unknown>} answer
 */
export function onMessage(answer) {
  api.runtime.onMessage.addListener((message, sender, respond) => {
    const fromExtensionPage = sender.url?.startsWith(api.runtime.getURL("")) ?? false;
    answer(message, { tabId: sender.tab?.id, fromExtensionPage }).then(
      (value) => respond({ ok: true, value }),
      (error) => respond({ ok: false, error: String(error) }),
    );
    return true; // keeps the channel open until respond() is called
  });
}

/**
 * Send a message to the service worker and wait for its answer.
 * @param {{kind: string, [field: string]: unknown}} message
 * @returns {Promise<any>}
 * @throws {Error} what went wrong over there
 */
export async function ask(message) {
  const answer = await api.runtime.sendMessage(message);
  if (!answer?.ok) {
    throw new Error(answer?.error ?? "The extension's background did not answer");
  }
  return answer.value;
}

/**
 * @param {string} key
 * @returns {Promise<any>} the stored value, undefined when absent
 */
export async function localRead(key) {
  return (await api.storage.local.get(key))[key];
}
/** @returns {Promise<Record<string, any>>} everything stored */
export const localReadAll = () => api.storage.local.get(null);
/**
 * @param {string} key
 * @param {unknown} value
 */
export const localWrite = async (key, value) => api.storage.local.set({ [key]: value });
/** @param {string | string[]} keys */
export const localRemove = async (keys) => api.storage.local.remove(keys);
/**
 * Be told when one stored value changes; called with the new value.
 * @param {string} key
 * @param {(value: any) => void} changed
 */
export function onLocalChange(key, changed) {
  api.storage.onChanged.addListener((changes, area) => {
    const change = changes[key];
    if (area === "local" && change) {
      changed(change.newValue);
    }
  });
}

/**
 * Storage that lives as long as this run of the browser.
 * @param {string} key
 * @returns {Promise<any>}
 */
export async function sessionRead(key) {
  return (await api.storage.session.get(key))[key];
}
/**
 * @param {string} key
 * @param {unknown} value
 */
export const sessionWrite = (key, value) => api.storage.session.set({ [key]: value });

/** @param {() => void} started */
export const onBrowserStart = (started) => api.runtime.onStartup.addListener(started);
/** @param {(reason: string) => void} installed */
export const onInstalled = (installed) => api.runtime.onInstalled.addListener(({ reason }) => installed(reason));

/**
 * Run the content scripts in the pages that are open: the browser itself runs them only in pages that it loads from now on,
 * and people keep pages for days. Not in players embedded in pages of other sites, which it does not let us find.
 *
 * Waits for no page: one that never ends loading would not answer.
 */
export async function enterOpenPages() {
  /** @type {any[]} */
  const scripts = api.runtime.getManifest().content_scripts ?? [];
  for (const { js, matches, world = "ISOLATED" } of scripts) {
    for (const { id, discarded } of await api.tabs.query({ url: matches })) {
      if (id !== undefined && !discarded) {
        const where = { target: { tabId: id, allFrames: true }, world, injectImmediately: true };
        api.scripting.executeScript({ ...where, files: js }).catch((error) => {
          console.warn("Watchtime: a page that is open is measured once it is loaded again.", error);
        });
      }
    }
  }
}

/** @param {() => void} rang */
export const onAlarm = (rang) => api.alarms.onAlarm.addListener(rang);
/**
 * Wake the worker every `minutes`, also after it died.
 * @param {string} name
 * @param {number} minutes at least 0.5
 */
export async function repeatAlarm(name, minutes) {
  // Creating an alarm again would push its next ring away each time the worker wakes.
  if (!(await api.alarms.get(name))) {
    await api.alarms.create(name, { periodInMinutes: minutes });
  }
}

/**
 * Ask the person to let the extension reach another server. Must run within a click.
 * @param {string} pattern such as https://watch.example/*
 * @returns {Promise<boolean>}
 */
export const requestHost = (pattern) => api.permissions.request({ origins: [pattern] });
/**
 * @param {string} pattern
 * @returns {Promise<boolean>}
 */
export const mayReach = (pattern) => api.permissions.contains({ origins: [pattern] });

/**
 * Show a short mark on the toolbar button.
 * @param {string} text
 * @param {string} color
 * @param {string} title
 */
export async function badge(text, color, title) {
  await api.action.setBadgeBackgroundColor({ color });
  await api.action.setBadgeText({ text });
  await api.action.setTitle({ title });
}
