/** The toolbar popup: today's time, and whether it arrives. */

import * as ext from "../ext.js";
import { element } from "../elements.js";
import { ago, counted, droppedWords, duration, topChannels } from "../wording.js";

const TOP_CHANNELS = 4;
const REFRESH_MS = 2_000;

async function refresh() {
  const { settings, today, queue, delivery } = await ext.ask({ kind: "status" });
  const consented = settings.consented_ts !== null;
  element("ask").hidden = consented;
  element("numbers").hidden = !consented;
  showDay(today);
  showDelivery(settings, queue, delivery);
  const pause = element("pause");
  pause.hidden = !consented;
  pause.textContent = settings.paused ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(settings.paused));
}

/** @param {import("../background/days.js").Day} day */
function showDay({ fg_ms, bg_ms, ad_ms, views, channels }) {
  element("total").textContent = duration(fg_ms + bg_ms);
  for (const [id, ms] of Object.entries({ fg: fg_ms, bg: bg_ms, ad: ad_ms })) {
    element(id).textContent = duration(ms);
    element(`bar-${id}`).style.flexGrow = String(ms);
  }
  element("views").textContent = String(views);
  const top = topChannels(channels, TOP_CHANNELS);
  element("no-channels").hidden = top.length > 0;
  element("channels").replaceChildren(...top.map(({ name, ms }) => channelRow(name, ms, top[0]?.ms ?? ms)));
}

/**
 * @param {string} name
 * @param {number} ms
 * @param {number} most_ms
 */
function channelRow(name, ms, most_ms) {
  const row = document.createElement("li");
  const label = document.createElement("span");
  label.textContent = name;
  label.title = name;
  const time = document.createElement("span");
  time.textContent = duration(ms);
  const share = document.createElement("span");
  share.className = "share";
  share.style.width = `${(100 * ms) / most_ms}%`;
  row.append(label, time, share);
  return row;
}

/**
 * @param {import("../background/settings.js").Settings} settings
 * @param {{waiting: number, oldest_ts: number | null, dropped: Record<string, number>}} queue
 * @param {import("../background/deliver.js").DeliveryState} delivery
 */
function showDelivery(settings, queue, delivery) {
  const trouble = element("trouble");
  trouble.hidden = delivery.error === null;
  if (delivery.error !== null && trouble.textContent !== delivery.error) {
    trouble.textContent = delivery.error; // only when new: it is read aloud
  }
  const words = droppedWords(queue.dropped);
  element("dropped").hidden = words === null;
  element("dropped").firstElementChild?.replaceChildren(words ?? "");
  const now_ts = Date.now();
  let says = "Nothing sent yet";
  if (settings.paused) {
    says = "Paused: nothing is measured";
  } else if (queue.waiting > 0) {
    says = `${counted(queue.waiting, "event waits", "events wait")}${queue.oldest_ts ? `, the oldest from ${ago(queue.oldest_ts, now_ts)}` : ""}`;
  } else if (delivery.delivered_ts !== null) {
    says = `All delivered, ${ago(delivery.delivered_ts, now_ts)}`;
  }
  if (element("delivery").textContent !== says) {
    element("delivery").textContent = says;
  }
}

element("options").addEventListener("click", () => ext.openOptions());
element("consent").addEventListener("click", () => ext.openPage("consent/consent.html"));
element("pause").addEventListener("click", async () => {
  const { settings } = await ext.ask({ kind: "status" });
  await ext.ask({ kind: "change", change: { paused: !settings.paused } });
  await refresh();
});
element("seen").addEventListener("click", async () => {
  await ext.ask({ kind: "seenDropped" });
  await refresh();
});

await refresh();
setInterval(refresh, REFRESH_MS);
