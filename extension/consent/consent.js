/** The first-run page: says what is stored and where it goes, and starts nothing before a yes. */

import * as ext from "../ext.js";
import { element } from "../elements.js";

const result = element("result");

const { settings } = await ext.ask({ kind: "status" });
element("address").textContent = settings.address;
element("local").hidden = !/^https?:\/\/(127\.0\.0\.1|localhost|\[::1\])(:|\/|$)/.test(settings.address);
if (settings.consented_ts !== null) {
  result.textContent = "You have agreed. To withdraw, press “Stop measuring”.";
  element("agree").hidden = true;
  element("decline").textContent = "Stop measuring";
}

/**
 * @param {number | null} consented_ts
 * @param {string} says
 */
async function decide(consented_ts, says) {
  await ext.ask({ kind: "change", change: { consented_ts } });
  element("agree").hidden = consented_ts !== null;
  element("decline").textContent = consented_ts === null ? "Not now" : "Stop measuring";
  result.textContent = says;
}

element("agree").addEventListener("click", () =>
  decide(Date.now(), "Thank you. Watchtime measures from now on; its button in the toolbar shows today's time. You can close this page."),
);
element("decline").addEventListener("click", () =>
  decide(null, "Nothing is measured. Press the Watchtime button in the toolbar whenever you change your mind."),
);
