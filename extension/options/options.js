/** The options page: where events go, what is measured, what waits, and how to erase it. */

import * as ext from "../ext.js";
import { Queue } from "../background/queue.js";
import { hostPattern, parseAddress } from "../background/settings.js";
import { element } from "../elements.js";
import { ago, counted, droppedWords } from "../wording.js";

const REFRESH_MS = 2_000;

/** @type {HTMLInputElement} */
const address = element("address");
/** @type {HTMLInputElement} */
const token = element("token");
/** @type {HTMLInputElement} */
const invite = element("invite");
/** @type {HTMLInputElement} */
const measuring = element("measuring");
/** @type {HTMLInputElement} */
const embeds = element("embeds");
/** @type {HTMLDialogElement} */
const sure = element("sure");

/** The settings as they are stored. */
let saved = { address: "", token: "" };

async function refresh() {
  const { settings, client, own, queue, delivery } = await ext.ask({ kind: "status" });
  saved = settings;
  measuring.checked = settings.consented_ts !== null && !settings.paused;
  embeds.checked = settings.embeds;
  element("client").textContent = client;
  element("client-again").textContent = client;
  element("own").hidden = own === client;
  element("own-name").textContent = own;
  const words =
    queue.waiting === 0
      ? `Nothing: ${delivery.delivered_ts ? `the last event was delivered ${ago(delivery.delivered_ts, Date.now())}` : "no event was sent yet"}.`
      : `${counted(queue.waiting, "event", "events")}, the oldest from ${ago(queue.oldest_ts, Date.now())}.`;
  say("queue", words);
  show("error", delivery.error);
  show("dropped", droppedWords(queue.dropped));
  return settings;
}

/**
 * @param {string} id
 * @param {string} words
 * @param {"good" | "bad" | ""} mood
 */
function say(id, words, mood = "") {
  const place = element(id);
  if (place.textContent !== words) {
    place.textContent = words; // only when new: it is read aloud
  }
  place.className = mood;
}

/**
 * @param {string} id
 * @param {string | null} words
 */
function show(id, words) {
  element(id).hidden = words === null;
  if (element(id).textContent !== words) {
    element(id).textContent = words;
  }
}

element("server").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const wanted = parseAddress(address.value);
    // Must come first within the click, or the browser will not ask.
    if (!(await ext.requestHost(hostPattern(wanted)))) {
      throw new Error("Without your permission the extension cannot reach that server.");
    }
    saved = await ext.ask({ kind: "change", change: { address: wanted, token: token.value.trim() } });
    address.value = saved.address;
    say("server-result", "Saved.", "good");
  } catch (error) {
    say("server-result", message(error), "bad");
  }
  await refresh();
});

element("enroll").addEventListener("click", async () => {
  try {
    const wanted = parseAddress(address.value);
    if (!(await ext.requestHost(hostPattern(wanted)))) {
      throw new Error("Without your permission the extension cannot reach that server.");
    }
    say("server-result", "Asking…");
    const wish = { address: wanted, token: token.value.trim(), invite: invite.value.trim() };
    const given = await ext.ask({ kind: "enroll", ...wish });
    address.value = wanted;
    token.value = given.token;
    invite.value = "";
    say("server-result", `Saved. The token is good until ${new Date(given.expires_ts).toLocaleDateString()}.`, "good");
  } catch (error) {
    say("server-result", message(error), "bad");
  }
  await refresh();
});
// Whoever runs one server must not learn the token of another.
address.addEventListener("change", () => {
  const same = hostOf(address.value) === hostOf(saved.address);
  if (token.value === (same ? "" : saved.token)) {
    token.value = same ? saved.token : "";
  }
});
/** @param {string} typed */
const hostOf = (typed) => (URL.canParse(typed) ? new URL(typed).host : typed);
// Enter in the field of the code is meant for the button beside it, not for Save.
invite.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    element("enroll").click();
  }
});

element("test").addEventListener("click", async () => {
  say("server-result", "Asking…");
  try {
    const { ok, says } = await ext.ask({ kind: "test", address: address.value, token: token.value.trim() });
    say("server-result", says, ok ? "good" : "bad");
  } catch (error) {
    say("server-result", message(error), "bad");
  }
});

measuring.addEventListener("change", async () => {
  const { settings } = await ext.ask({ kind: "status" });
  if (measuring.checked && settings.consented_ts === null) {
    measuring.checked = false;
    await ext.openPage("consent/consent.html"); // a yes is only given where it is said what to
    return;
  }
  await ext.ask({ kind: "change", change: { paused: !measuring.checked } });
});
embeds.addEventListener("change", () => ext.ask({ kind: "change", change: { embeds: embeds.checked } }));

element("deliver").addEventListener("click", async () => {
  await ext.ask({ kind: "deliver" });
  await refresh();
});

element("export").addEventListener("click", async () => {
  // Read here: a full queue is too much for one message.
  const queue = await Queue.open();
  const lines = (await queue.all()).map((event) => `${JSON.stringify(event)}\n`);
  queue.close();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = "watchtime-queue.ndjson";
  link.click();
  URL.revokeObjectURL(link.href);
});

element("forget").addEventListener("click", async () => {
  const { queue } = await ext.ask({ kind: "status" });
  element("sure-text").textContent =
    queue.waiting > 0
      ? `${counted(queue.waiting, "event that was", "events that were")} not sent yet will be lost, with today's numbers.`
      : "Today's numbers will be lost.";
  sure.showModal();
});
element("sure-no").addEventListener("click", () => sure.close());
element("sure-yes").addEventListener("click", async () => {
  sure.close();
  const name = element("client").textContent;
  await ext.ask({ kind: "forget" });
  await refresh();
  const stays = element("client").textContent === name; // a token's
  say("forget-result", stays ? "Erased here. To the server you stay who your token says." : "Erased. You have a new name.", "good");
});

/** @param {unknown} error */
const message = (error) => (error instanceof Error ? error.message.replace(/^Error: /, "") : String(error));

const settings = await refresh();
address.value = settings.address;
token.value = settings.token;
setInterval(refresh, REFRESH_MS);
