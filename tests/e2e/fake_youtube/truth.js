/*
 * What really played, by a stopwatch of its own: it runs from the media events that say "playing" to those that say
 * it no longer does. Posts itself to the server all the while, so that it outlives a killed browser.
 */
(() => {
  const page = crypto.randomUUID();
  /** Milliseconds by "video|fg", "video|bg" and "video|ad". */
  const wall = {};
  /** The same from the media's own position, to check the stopwatch against. */
  const media = {};
  const running = new Map();

  const kindOf = (video) => {
    const player = video.closest("#movie_player, #shorts-player");
    if (!player) {
      return null; // a preview: no watching
    }
    const seen = document.visibilityState === "visible" || document.pictureInPictureElement === video;
    const kind = player.classList.contains("ad-showing") ? "ad" : seen ? "fg" : "bg";
    return `${player.dataset.content}|${kind}`;
  };

  const settle = (video) => {
    const now = performance.now();
    const run = running.get(video);
    if (run) {
      wall[run.key] = (wall[run.key] ?? 0) + now - run.since;
      const moved = Math.max(0, video.currentTime - run.position);
      media[run.key] = (media[run.key] ?? 0) + (moved * 1000) / run.rate;
    }
    const key = kindOf(video);
    const plays = key && !video.paused && !video.ended && !video.seeking && video.readyState >= 3;
    if (plays) {
      running.set(video, { key, since: now, position: video.currentTime, rate: video.playbackRate });
    } else {
      running.delete(video);
    }
  };
  const settleAll = () => document.querySelectorAll("video").forEach(settle);

  for (const name of ["playing", "pause", "waiting", "seeking", "seeked", "ended", "emptied", "ratechange", "canplay",
    "enterpictureinpicture", "leavepictureinpicture"]) {
    document.addEventListener(name, (event) => settle(event.target), true);
  }
  document.addEventListener("visibilitychange", settleAll);

  const told = () => JSON.stringify({ page, wall, media });
  const tell = () => {
    settleAll();
    navigator.sendBeacon("/truth", told());
  };
  addEventListener("pagehide", tell);
  setInterval(tell, 200);
  window.truth = { page, wall, media, settle: settleAll, tell };
})();
