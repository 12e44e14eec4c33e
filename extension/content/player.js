/*
 * Runs in the page's own world, the only place where YouTube's player object can be asked.
 * Answers one question, synchronously, with plain text; the asking side (content/page.js) believes nothing
 * that it has not checked, since a page can forge this.
 * The player's methods stand here and nowhere else; each can be tried in the console of a watch page, p being
 * document.querySelector("#movie_player").
 */
(() => {
  /** @param {string} selector */
  const ask = (selector) => {
    const player = /** @type {any} */ (document.querySelector(selector));
    if (typeof player?.getVideoData !== "function") {
      return null;
    }
    // Check: p.getVideoData() has video_id (as in the address), author (the channel's name), isLive (true on a live stream).
    const data = player.getVideoData() ?? {};
    return {
      video_id: data.video_id,
      author: data.author,
      live: data.isLive,
      // Check: p.getPlayerResponse().videoDetails.channelId is "UC…".
      channel_id: player.getPlayerResponse?.()?.videoDetails?.channelId,
      // Check: hover a thumbnail on the home page; document.querySelector("#inline-player").isInline() is true.
      inline: player.isInline?.() === true,
    };
  };
  document.addEventListener("watchtime-ask", (event) => {
    const selector = /** @type {CustomEvent<string>} */ (event).detail;
    document.dispatchEvent(new CustomEvent("watchtime-tell", { detail: JSON.stringify(ask(selector)) }));
  });
})();
