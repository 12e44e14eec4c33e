/**
 * All that is known about YouTube's pages, each fact once, each with how to check it in a browser's console.
 * When YouTube changes, this is the file to change.
 */

import { ChannelReader } from "./channel.js";

// Main player. Check on /watch: document.querySelector("#movie_player").getVideoData().video_id is the id in the address.
const MAIN_PLAYER = "#movie_player";
// Shorts have a player of their own. Check on /shorts/…: document.querySelector("#shorts-player").getVideoData().
const SHORTS_PLAYER = "#shorts-player";
// The element that plays inside a player. Check: document.querySelectorAll("#movie_player video").length is 1.
const VIDEO_IN_PLAYER = "video.html5-main-video, video";
// Moving thumbnails. Check: hover one on the home page; document.querySelector("video:hover, #inline-player video").closest("ytd-video-preview").
const PREVIEW = "ytd-video-preview, #inline-player, #inline-preview-player";
// An advertisement is on. Check during one: document.querySelector("#movie_player").className.
const AD_CLASSES = ["ad-showing", "ad-interrupting"];
// The watch page names the video that it shows. Check: document.querySelector("ytd-watch-flexy").getAttribute("video-id").
const WATCH_PAGE = "ytd-watch-flexy[video-id]";
// Links whose text is the channel's name and whose address leads to it. Check: run querySelector with each on
// a watch page, a Short, m.youtube.com, music.youtube.com and an embedded player.
const OWNER_LINKS = [
  "ytd-watch-metadata ytd-video-owner-renderer ytd-channel-name a",
  "ytd-video-owner-renderer #channel-name a",
  "ytd-reel-video-renderer[is-active] yt-reel-channel-bar-view-model a",
  "ytd-reel-video-renderer[is-active] ytd-channel-name a",
  "ytm-slim-owner-renderer a.slim-owner-icon-and-title",
  "ytmusic-player-bar .byline a[href^='channel/']",
  ".ytp-title-expanded-title a",
];
// Navigation without reload. Check: for each name, document.addEventListener(name, console.log) and click a video;
// the last one is fired on m.youtube.com's window.
export const PAGE_EVENTS = ["yt-navigate-start", "yt-navigate-finish", "yt-page-data-updated", "yt-player-updated", "state-navigateend"];
// What a <video> says about itself (HTML standard); timeupdate comes about four times a second while it plays.
export const VIDEO_EVENTS = [
  "playing",
  "pause",
  "waiting",
  "stalled",
  "seeking",
  "seeked",
  "ratechange",
  "ended",
  "emptied",
  "loadedmetadata",
  "timeupdate",
  "enterpictureinpicture",
  "leavepictureinpicture",
];
// Addresses that name a video. Check: open one of each kind and look at location.pathname.
const ID_IN_PATH = /^\/(shorts|live|embed)\/([^/?]+)/;
// Ids are 11 characters of base64url. Check: any address.
const VIDEO_ID = /^[\w-]{11}$/;

/**
 * @typedef {import("./stopwatch.js").Video} Video
 * @typedef {import("../events.js").PageType} PageType
 * @typedef {{video_id?: unknown, author?: unknown, live?: unknown, channel_id?: unknown, inline?: unknown}} Told
 */

export class Page {
  #channels = new ChannelReader();
  /** The id before an advertisement began. */
  #contentId = "";

  /**
   * Look at what plays now.
   * @returns {{video: Video, element: HTMLVideoElement, player: Element} | null}
   */
  look() {
    const player = findPlayer();
    const element = player && videoIn(player);
    const told = player && askPlayer(player);
    if (!player || !element || told?.inline === true || player.closest(PREVIEW)) {
      return null;
    }
    const ad = AD_CLASSES.some((name) => player.classList.contains(name));
    const id = this.#id(told, ad);
    if (!id) {
      return null;
    }
    const aboutThis = told?.video_id === id ? told : null;
    const channel = this.#channels.read({
      id,
      ad,
      told: aboutThis && { name: text(aboutThis.author), id: text(aboutThis.channel_id) },
      shown: owner(),
    });
    return { video: { ...measure(element), id, ad, channel, page_type: pageType(told?.live === true) }, element, player };
  }

  /**
   * The player knows best (playlists and the miniplayer change video without a navigation); while an
   * advertisement runs it may name that one.
   * @param {Told | null} told
   * @param {boolean} ad
   */
  #id(told, ad) {
    const player = validId(told?.video_id);
    const address = idInAddress();
    // Last: behind a miniplayer the watch page keeps the id of the video it showed first.
    const page = validId(document.querySelector(WATCH_PAGE)?.getAttribute("video-id"));
    const id = ad ? address || this.#contentId || page || player : player || address || page;
    if (!ad) {
      this.#contentId = id;
    }
    return id;
  }
}

/**
 * Address of the page without what could tell more than the video: no list, no search, no time.
 * @returns {string}
 */
export function plainUrl() {
  const id = new URLSearchParams(location.search).get("v");
  return location.origin + location.pathname + (id ? `?v=${encodeURIComponent(id)}` : "");
}

/** Inside another site's page. */
export const isEmbedded = () => window.top !== window;

/** @returns {Element | null} the player that plays, else the one that belongs to the address */
function findPlayer() {
  const order = location.pathname.startsWith("/shorts/") ? [SHORTS_PLAYER, MAIN_PLAYER] : [MAIN_PLAYER, SHORTS_PLAYER];
  const players = order.flatMap((selector) => document.querySelector(selector) ?? []);
  return players.find((player) => videoIn(player)?.paused === false) ?? players.find((player) => videoIn(player)) ?? null;
}

/**
 * @param {Element} player
 * @returns {HTMLVideoElement | null}
 */
const videoIn = (player) => player.querySelector(VIDEO_IN_PLAYER);

/**
 * Ask the player object through content/player.js, which answers before this returns.
 * @param {Element} player
 * @returns {Told | null}
 */
function askPlayer(player) {
  /** @type {unknown} */
  let told = null;
  const hear = (/** @type {Event} */ event) => {
    const { detail } = /** @type {CustomEvent<unknown>} */ (event);
    told = typeof detail === "string" ? parse(detail) : null;
  };
  document.addEventListener("watchtime-tell", hear);
  document.dispatchEvent(new CustomEvent("watchtime-ask", { detail: `#${player.id}` }));
  document.removeEventListener("watchtime-tell", hear);
  return typeof told === "object" ? told : null;
}

/**
 * @param {string} json
 * @returns {unknown} null for what a page forged badly
 */
function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** @param {HTMLVideoElement} element */
function measure(element) {
  const { paused, ended, seeking, readyState, currentTime, duration, playbackRate, currentSrc } = element;
  return {
    src: currentSrc,
    position_s: currentTime,
    duration_s: duration,
    rate: playbackRate > 0 ? playbackRate : 1,
    advancing: !paused && !ended && !seeking && readyState >= HTMLMediaElement.HAVE_FUTURE_DATA,
    paused,
    ended,
  };
}

/**
 * @param {boolean} live
 * @returns {PageType}
 */
function pageType(live) {
  const path = location.pathname;
  const kind = ID_IN_PATH.exec(path)?.[1];
  if (location.hostname === "music.youtube.com") {
    return "music";
  }
  if (kind === "embed" || kind === "shorts") {
    return kind;
  }
  if (!idInAddress()) {
    return "miniplayer";
  }
  return live || kind === "live" ? "live" : "watch";
}

const idInAddress = () =>
  validId(ID_IN_PATH.exec(location.pathname)?.[2]) || validId(new URLSearchParams(location.search).get("v"));

function owner() {
  for (const selector of OWNER_LINKS) {
    const link = document.querySelector(selector);
    const name = link?.textContent?.trim();
    if (link && name) {
      const for_id = document.querySelector(WATCH_PAGE)?.getAttribute("video-id") ?? null;
      return { name, href: link.getAttribute("href") ?? "", for_id };
    }
  }
  return null;
}

/** @param {unknown} value */
const validId = (value) => (typeof value === "string" && VIDEO_ID.test(value) ? value : "");
/** @param {unknown} value */
const text = (value) => (typeof value === "string" && value.trim() ? value.trim() : undefined);
