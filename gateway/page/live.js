/** The live page: a stream of views of one day, and a search beside it. */

import { setText, showBars } from "./bars.js";
import { HourChart } from "./chart.js";
import { clock, dayName, duration, number, percent } from "./words.js";

const SEARCH_AFTER_MS = 250;
const SHOWN_FOUND = 50;
const RETRY_MS = 3000;
/** Kinds of top lists and their elements. */
const LISTS = /** @type {const} */ ([["video", "videos"], ["channel", "channels"]]);

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const asked = new URLSearchParams(location.search);
const pictures = asked.get("pictures") === "youtube";
const chart = new HourChart(element("hours"), element("hour-told"));
const day = /** @type {HTMLSelectElement} */ (element("day"));
const search = /** @type {HTMLInputElement} */ (element("search"));

/** The day that was chosen; empty: today, whichever that is. */
let chosen = asked.get("dt") ?? "";
/** @type {any} the newest view */
let view = null;
/** @type {EventSource | null} */
let source = null;
let searching = 0;
/** The day that is shown when none was chosen. */
let today = "";
/** What the newest event came to. It still holds when a connection comes back and brings nothing new. */
let standing = /** @type {[string, string]} */ (["live", "live"]);

function follow() {
  source?.close();
  source = new EventSource(chosen ? `/live?dt=${encodeURIComponent(chosen)}` : "/live");
  source.addEventListener("open", () => say(...standing));
  source.addEventListener("view", (event) => show(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    say("away", "no connection, trying again");
    if (source?.readyState === EventSource.CLOSED) {
      setTimeout(follow, RETRY_MS); // the gateway refused; the browser does not try again by itself then
    }
  });
}

/** @param {string} state @param {string} text */
function say(state, text) {
  element("state").dataset.state = state;
  setText(element("state-text"), text);
}

/** @param {any} next */
function show(next) {
  today = next.today;
  standing = standingOf(next);
  say(...standing);
  showDays(next);
  const other = view?.dt !== next.dt;
  if (other) {
    blank(); // never one day's numbers under the name of another
  }
  if (next.loading !== undefined) {
    return;
  }
  showNotice(next.error ?? unreadable(next));
  if (next.error !== undefined) {
    return;
  }
  view = next;
  showTotals();
  chart.show(view.hours);
  showHourTable();
  showHealth();
  if (!search.value.trim()) {
    showTops(view.videos, view.channels, "Nothing was watched yet.");
  } else if (other) {
    find();
  }
  for (const [kind, list] of LISTS) {
    for (const format of ["csv", "json"]) {
      const link = /** @type {HTMLAnchorElement} */ (element(`${list}-${format}`));
      link.href = `/api/daily?dt=${view.dt}&table=${kind}&limit=${Math.max(1, view.held[kind][0])}&format=${format}&download`;
      link.download = "";
      link.title = view.held[kind][1] ? `The ${number(view.held[kind][0])} most watched; all rows are in the files` : "All rows of the day";
    }
  }
}

/**
 * @param {any} next
 * @returns {[string, string]} state and text
 */
function standingOf(next) {
  const files = next.from === "lake";
  if (next.loading !== undefined) {
    return ["loading", files ? "reading the files of the day" : `reading the day, ${Math.round(next.loading * 100)}%`];
  }
  return next.error === undefined ? ["live", files ? "from the files" : "live"] : ["away", "not shown"];
}

/** @param {any} next */
function unreadable({ from, health }) {
  return from !== "lake" && health.unreadable
    ? `Records of the daily topics that hold no row: ${number(health.unreadable)}. The gateway's log names the first.`
    : "";
}

/** @param {any} next a view, whether or not its rows are there yet */
function showDays(next) {
  const days = [...new Set([next.dt, ...next.days])].sort().reverse();
  const now = new Date().toISOString().slice(0, 10);
  if (days.join() !== [...day.options].map((option) => option.value).join()) {
    day.replaceChildren(...days.map((dt) => new Option(dt === now ? `${dayName(dt)} (today)` : dayName(dt), dt)));
  }
  day.value = next.dt;
  const at = days.indexOf(next.dt);
  /** @type {HTMLButtonElement} */ (element("earlier")).disabled = at + 1 >= days.length;
  /** @type {HTMLButtonElement} */ (element("later")).disabled = at <= 0;
  setText(element("watched-title"), next.dt === now ? "Watched today" : `Watched on ${dayName(next.dt)}`);
}

/** @param {string} text what is wrong; empty: nothing */
function showNotice(text) {
  element("notice").hidden = !text;
  setText(element("notice"), text);
}

/** Show nothing of any day. */
function blank() {
  view = null;
  searching += 1; // what is being found is of the day before
  setText(element("found"), "");
  showNotice("");
  for (const id of ["watched", "views", "fg", "bg", "ads", "events", "repeats"]) {
    setText(element(id), "–");
  }
  for (const id of ["fg-part", "bg-part"]) {
    setText(element(id), "");
  }
  for (const part of /** @type {HTMLCollectionOf<HTMLElement>} */ (element("split").children)) {
    part.style.width = "0";
  }
  chart.show([]);
  element("hours-table").querySelector("tbody")?.replaceChildren();
  showTops([], [], "");
}

function showTotals() {
  const { watch_ms, watch_ms_fg, watch_ms_bg, views, ad_ms } = view.totals;
  setText(element("watched"), duration(watch_ms));
  setText(element("views"), number(views));
  setText(element("fg"), duration(watch_ms_fg));
  setText(element("bg"), duration(watch_ms_bg));
  setText(element("ads"), duration(ad_ms));
  setText(element("fg-part"), percent(watch_ms_fg, watch_ms));
  setText(element("bg-part"), percent(watch_ms_bg, watch_ms));
  const [fg, bg] = /** @type {HTMLCollectionOf<HTMLElement>} */ (element("split").children);
  fg.style.width = percent(watch_ms_fg, watch_ms) || "0";
  bg.style.width = percent(watch_ms_bg, watch_ms) || "0";
}

function showHourTable() {
  const rows = view.hours.map((/** @type {any} */ row) => {
    const line = document.createElement("tr");
    for (const text of [`${row.hour}:00`, duration(row.watch_ms_fg), duration(row.watch_ms_bg), duration(row.ad_ms)]) {
      line.insertCell().textContent = text;
    }
    return line;
  });
  element("hours-table").querySelector("tbody")?.replaceChildren(...rows);
}

function showHealth() {
  const { rate, lag, files_behind, files_ts, rejected } = view.health;
  const known = (/** @type {unknown} */ value, /** @type {string} */ text) => (value === null || value === undefined ? "–" : text);
  setText(element("rate"), known(rate, `${number(Math.round(rate))} events/s`));
  setText(element("lag"), known(lag, lag === 0 ? "nothing" : `${number(lag)} posts`));
  setText(element("files"), known(files_behind, files_behind ? `${number(files_behind)} changes to write` : "up to date"));
  setText(element("files-time"), files_ts ? `last written ${clock(files_ts)}` : "");
  setText(element("rejected"), known(rejected, number(rejected)));
  setText(element("events"), view.ingest ? number(view.ingest.total_events) : "–");
  setText(element("repeats"), view.ingest ? number(view.ingest.duplicate_events) : "–");
}

/** @param {any[]} videos @param {any[]} channels @param {string} empty */
function showTops(videos, channels, empty) {
  showBars(element("videos"), videos, { pictures, empty });
  showBars(element("channels"), channels, { pictures, empty });
}

async function find() {
  const wanted = search.value.trim();
  const mine = (searching += 1);
  if (!wanted) {
    setText(element("found"), "");
    if (view) {
      showTops(view.videos, view.channels, "Nothing was watched yet.");
    }
    return;
  }
  const ask = async (/** @type {string} */ table) => {
    const wish = new URLSearchParams({ table, q: wanted, limit: String(SHOWN_FOUND), ...(chosen || today ? { dt: chosen || today } : {}) });
    const answer = await fetch(`/api/daily?${wish}`);
    if (!answer.ok) {
      throw new Error((await answer.json()).error);
    }
    return answer.json();
  };
  try {
    const [videos, channels] = await Promise.all([ask("video"), ask("channel")]);
    if (mine === searching) {
      showTops(videos, channels, "Nothing found.");
      const among = view?.held.video[1] ? ` among the ${number(view.held.video[0])} most watched videos` : "";
      setText(element("found"), `${found(videos.length, "video")} and ${found(channels.length, "channel")}${among}`);
    }
  } catch (error) {
    if (mine === searching) {
      setText(element("found"), `The search failed: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** @param {number} count @param {string} what */
const found = (count, what) => `${count}${count === SHOWN_FOUND ? " or more" : ""} ${what}${count === 1 ? "" : "s"}`;

/** @param {string} dt */
function choose(dt) {
  day.value = dt; // the next step goes on from here, though this day's first view is still to come
  chosen = dt === today ? "" : dt;
  const wish = new URLSearchParams(pictures ? { pictures: "youtube" } : {});
  if (chosen) {
    wish.set("dt", chosen);
  }
  history.replaceState(null, "", wish.size ? `/?${wish}` : "/");
  follow();
}

/** @param {number} by how many days further into the past */
function step(by) {
  const option = day.options[day.selectedIndex + by];
  if (option) {
    choose(option.value);
  }
}

day.addEventListener("change", () => choose(day.value));
element("earlier").addEventListener("click", () => step(1));
element("later").addEventListener("click", () => step(-1));
let typing = 0;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(find, SEARCH_AFTER_MS);
});
document.addEventListener("keydown", (event) => {
  const typed = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === "/" && !typed && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && event.target === search) {
    search.value = "";
    find();
  }
});
if (pictures) {
  const link = /** @type {HTMLAnchorElement} */ (element("pictures"));
  link.textContent = "Load no pictures from YouTube";
  link.href = "/";
}
follow();
