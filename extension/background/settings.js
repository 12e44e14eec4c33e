/** What the person chose. Pure: reading and writing is main.js's. */

/**
 * @typedef {object} Settings
 * @property {number | null} consented_ts null: nothing is recorded
 * @property {boolean} paused
 * @property {string} address of the gateway, without a slash at the end
 * @property {string} token
 * @property {boolean} embeds count players embedded in other sites
 * @property {number} life counts how often the person had everything forgotten
 */

/** @type {Settings} */
export const DEFAULTS = {
  consented_ts: null,
  paused: false,
  address: "http://127.0.0.1:4000",
  token: "",
  embeds: false,
  life: 0,
};

/**
 * @param {Settings} settings
 * @returns {import("../content/main.js").Measure}
 */
export function measureOf({ consented_ts, paused, embeds, life }) {
  return { on: consented_ts !== null && !paused, embeds, life };
}

/**
 * @param {string} text as typed
 * @returns {string} http(s) origin, with a path if one was given
 * @throws {Error} says what is wrong with it
 */
export function parseAddress(text) {
  const typed = text.trim();
  const url = URL.canParse(typed) ? new URL(typed) : null;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw new Error(`"${typed}" is no address. Enter one such as ${DEFAULTS.address} or https://watch.example`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Error("The address must not hold a user, a query or a fragment. Put the token into its own field.");
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/**
 * @param {string} address
 * @returns {string} permission pattern of its host; ports are no part of such patterns
 */
export function hostPattern(address) {
  const { protocol, hostname } = new URL(address);
  return `${protocol}//${hostname}/*`;
}
