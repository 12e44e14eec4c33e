/*
 * Runs in the page's own world, the only place where YouTube's player object can be asked.
 * Answers one question, synchronously, with plain text; the asking side (content/page.js) believes nothing
 * that it has not checked, since a page can forge this.
 */
(() => {
  /** @param {string} selector */
  const ask = (selector) => {
    const player = /** @type {any} */ (document.querySelector(selector));
    if (typeof player?.getVideoData !== "function") {
      return null;
    }
    const data = player.getVideoData() ?? {};
    return {
      video_id: data.video_id,
      author: data.author,
      live: data.isLive,
      channel_id: player.getPlayerResponse?.()?.videoDetails?.channelId,
      inline: player.isInline?.() === true,
    };
  };
  document.addEventListener("watchtime-ask", (event) => {
    const selector = /** @type {CustomEvent<string>} */ (event).detail;
    document.dispatchEvent(new CustomEvent("watchtime-tell", { detail: JSON.stringify(ask(selector)) }));
  });
})();
