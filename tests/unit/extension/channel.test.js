import assert from "node:assert/strict";
import { test } from "node:test";
import { ChannelReader } from "../../../extension/content/channel.js";

const ONE = { name: "One", id: "UCone4567890123456789012" };
const SHOWN_ONE = { name: "One", href: "/@one", for_id: "v1" };
const SHOWN_TWO = { name: "Two", href: "https://www.youtube.com/channel/UCtwo4567890123456789012?x=1", for_id: "v2" };

test("the player's word, with the handle from the page when both mean the same channel", () => {
  const reader = new ChannelReader();
  assert.deepEqual(reader.read({ id: "v1", ad: false, told: ONE, shown: SHOWN_ONE }), {
    name: "One",
    handle: "@one",
    id: ONE.id,
    url: "https://www.youtube.com/@one",
    sure: true,
  });
});

test("the page still shows the previous owner: the player is believed alone", () => {
  const channel = new ChannelReader().read({ id: "v1", ad: false, told: ONE, shown: SHOWN_TWO });
  assert.equal(channel?.name, "One");
  assert.equal(channel?.handle, undefined);
  assert.equal(channel?.url, `https://www.youtube.com/channel/${ONE.id}`);
});

test("without the player: the page's owner, sure once it is no longer the previous one", () => {
  const reader = new ChannelReader();
  assert.equal(reader.read({ id: "v1", ad: false, told: null, shown: SHOWN_ONE })?.sure, true);
  assert.equal(reader.read({ id: "v2", ad: false, told: null, shown: { ...SHOWN_ONE, for_id: "v2" } })?.sure, false);
  assert.equal(reader.read({ id: "v2", ad: false, told: null, shown: SHOWN_TWO })?.sure, true);
});

test("a page that claims to show another video is not sure", () => {
  assert.equal(new ChannelReader().read({ id: "v9", ad: false, told: null, shown: SHOWN_ONE })?.sure, false);
});

test("during an advertisement the player speaks of the advertiser: the page's owner is taken", () => {
  const channel = new ChannelReader().read({ id: "v2", ad: true, told: ONE, shown: SHOWN_TWO });
  assert.deepEqual([channel?.name, channel?.id], ["Two", "UCtwo4567890123456789012"]);
});

test("nobody says", () => {
  assert.equal(new ChannelReader().read({ id: "v1", ad: false, told: null, shown: null }), null);
});

test("odd addresses and handles", () => {
  const read = (/** @type {string} */ href) => new ChannelReader().read({ id: "v1", ad: false, told: null, shown: { name: "X", href, for_id: null } });
  assert.equal(read("/@%D0%BF%D1%80")?.handle, "@пр");
  assert.equal(read("/@100%")?.handle, "@100%");
  assert.equal(read("javascript:alert(1)")?.url, undefined);
  assert.equal(read("")?.url, undefined);
});
