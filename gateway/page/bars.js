/** Lists of names with bars. Names come from strangers: they are only ever set as text. */

import { duration, number } from "./words.js";

const VIDEO_ID = /^[\w-]{11}$/;

/**
 * @typedef {object} Row
 * @property {string} [video_id]
 * @property {string | null} channel
 * @property {number} watch_ms
 * @property {number} watch_ms_fg
 * @property {number} views
 * @property {number} ad_ms
 */

/**
 * Show rows in a list; elements stay with their row, so that what moves is seen to move and focus is kept.
 *
 * @param {HTMLElement} list
 * @param {Row[]} rows
 * @param {{ pictures: boolean, empty: string }} wishes
 */
export function showBars(list, rows, { pictures, empty }) {
  const longest = Math.max(1, ...rows.map((row) => row.watch_ms));
  const before = new Map([...list.children].map((item) => [item instanceof HTMLElement ? item.dataset.id : "", item]));
  const items = rows.map((row) => {
    const id = `=${row.video_id ?? row.channel}`;
    const item = before.get(id) ?? newItem(id, row, pictures);
    update(item, row, longest);
    return item;
  });
  if (rows.length === 0) {
    const nothing = document.createElement("li");
    nothing.className = "nothing muted";
    nothing.textContent = empty;
    items.push(nothing);
  }
  if (items.some((item, at) => list.children[at] !== item) || list.children.length !== items.length) {
    const focused = document.activeElement;
    list.replaceChildren(...items);
    if (focused instanceof HTMLElement && list.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
  }
}

/**
 * @param {string} id
 * @param {Row} row
 * @param {boolean} pictures
 */
function newItem(id, row, pictures) {
  const item = document.createElement("li");
  item.dataset.id = id;
  const isVideo = row.video_id !== undefined;
  const known = isVideo && VIDEO_ID.test(row.video_id ?? "");
  if (pictures && known) {
    const picture = document.createElement("img");
    picture.src = `https://i.ytimg.com/vi/${row.video_id}/mqdefault.jpg`;
    picture.alt = "";
    picture.loading = "lazy";
    picture.referrerPolicy = "no-referrer";
    item.append(picture);
  }
  const name = document.createElement(known ? "a" : "span");
  name.className = "name";
  name.textContent = (isVideo ? row.video_id : row.channel) || "(no name)";
  if (name instanceof HTMLAnchorElement) {
    name.href = `https://www.youtube.com/watch?v=${row.video_id}`;
    name.rel = "noreferrer noopener";
    name.target = "_blank";
  }
  name.title = name.textContent;
  item.append(name);
  for (const part of ["channel", "time", "bar", "more"]) {
    const element = document.createElement("span");
    element.className = part;
    item.append(element);
  }
  const bar = /** @type {HTMLElement} */ (item.querySelector(".bar"));
  bar.setAttribute("aria-hidden", "true");
  bar.append(document.createElement("i"), document.createElement("i"));
  bar.children[0].className = "fg";
  bar.children[1].className = "bg";
  return item;
}

/**
 * @param {Element} item
 * @param {Row} row
 * @param {number} longest
 */
function update(item, row, longest) {
  const at = (/** @type {string} */ part) => /** @type {HTMLElement} */ (item.querySelector(`.${part}`));
  setText(at("channel"), row.video_id === undefined ? "" : (row.channel ?? ""));
  setText(at("time"), duration(row.watch_ms));
  setText(at("more"), `${number(row.views)} ${row.views === 1 ? "view" : "views"}${row.ad_ms ? `, ads ${duration(row.ad_ms)}` : ""}`);
  const [fg, bg] = /** @type {HTMLCollectionOf<HTMLElement>} */ (at("bar").children);
  fg.style.width = `${(100 * row.watch_ms_fg) / longest}%`;
  bg.style.width = `${(100 * (row.watch_ms - row.watch_ms_fg)) / longest}%`;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
