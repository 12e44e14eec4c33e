/**
 * Whose video is it? The player knows at once, the page's owner block knows more (the handle) but later, and after a
 * navigation without reload it shows the previous video's owner for a while.
 *
 * Pure, table-tested.
 */

/**
 * @typedef {import("./stopwatch.js").Channel} Channel
 *
 * @typedef {object} ChannelFacts
 * @property {string} id the video's
 * @property {boolean} ad while one runs the player speaks of the advertiser
 * @property {{name?: string | undefined, id?: string | undefined} | null} told by the player about this very video
 * @property {{name: string, href: string, for_id: string | null} | null} shown in the page; for_id: the video that the page claims to show
 */

const CHANNEL_ID = /^UC[\w-]{22}$/;
const ORIGIN = "https://www.youtube.com";

export class ChannelReader {
  /** What the page showed for the video before this one. @type {string | null} */
  #stale = null;
  #id = "";
  /** @type {string | null} */
  #shown = null;

  /**
   * @param {ChannelFacts} facts
   * @returns {Channel | null}
   */
  read({ id, ad, told, shown }) {
    if (id !== this.#id) {
      this.#stale = this.#shown;
      this.#id = id;
    }
    this.#shown = shown?.name ?? this.#shown;
    const page = shown && fromLink(shown.name, shown.href);
    const player = !ad && told?.name ? { name: told.name, id: told.id && CHANNEL_ID.test(told.id) ? told.id : undefined } : null;
    if (player) {
      if (page && sameChannel(page, player)) {
        return { ...page, ...withUrl(player, page.url), sure: true };
      }
      return { ...withUrl(player), sure: true };
    }
    if (!page) {
      return null;
    }
    const claimed = shown.for_id === null || shown.for_id === id;
    return { ...page, sure: claimed && page.name !== this.#stale };
  }
}

/**
 * @param {string} name
 * @param {string} href
 */
function fromLink(name, href) {
  const path = URL.canParse(href, ORIGIN) ? new URL(href, ORIGIN).pathname : "";
  const handle = /^\/(@[^/]+)/.exec(path)?.[1];
  const id = /^\/channel\/(UC[\w-]{22})/.exec(path)?.[1];
  return { name, handle: handle && decode(handle), id, url: handle || id ? ORIGIN + path : undefined };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % is part of the handle then
  }
}

/**
 * @param {{name: string, id: string | undefined}} page
 * @param {{name: string, id: string | undefined}} player
 */
function sameChannel(page, player) {
  return page.id !== undefined && player.id !== undefined ? page.id === player.id : page.name === player.name;
}

/**
 * @param {{name: string, id: string | undefined}} channel
 * @param {string} [url]
 */
function withUrl(channel, url) {
  return { ...channel, url: url ?? (channel.id && `${ORIGIN}/channel/${channel.id}`) };
}
