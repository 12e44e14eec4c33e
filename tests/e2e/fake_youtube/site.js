/*
 * Behaves as YouTube's pages do, as far as an extension can see: one <video> that lives through navigations without
 * reload, a player object that can be asked, advertisements in the same element, an owner block that comes late.
 * `site` is for the test script.
 */
const $ = (selector) => document.querySelector(selector);
const videos = window.VIDEOS;

class Player {
  constructor(id) {
    this.element = document.createElement("div");
    this.element.id = id;
    this.element.className = "html5-video-player";
    this.video = document.createElement("video");
    this.video.className = "video-stream html5-main-video";
    this.element.append(this.video);
    this.current = null;
    Object.assign(this.element, {
      getVideoData: () => (this.current && !this.current.mute_player ? this.data() : {}),
      getPlayerResponse: () => ({ videoDetails: { channelId: this.ad ? "UCadvertiser0123456789ab" : this.current?.channel_id } }),
      isInline: () => false,
    });
    this.video.addEventListener("ended", () => this.onEnded());
    this.video.addEventListener("timeupdate", () => this.onTime());
  }

  data() {
    if (this.ad) {
      return { video_id: "adadadadad1", author: "An advertiser", isLive: false };
    }
    return { video_id: this.current.id, author: this.current.late_channel_ms ? "" : this.current.channel, isLive: Boolean(this.current.live) };
  }

  load(id) {
    if (this.current?.id === id) {
      return;
    }
    truth.settle();
    this.current = { id, ...videos[id] };
    this.element.dataset.content = id;
    this.waiting_ads = [...(this.current.ads ?? [])];
    this.resume_at = 0;
    this.video.loop = Boolean(this.current.loop);
    this.next();
  }

  /** Play the next thing: an ad that is due, else the content. */
  next() {
    truth.settle();
    const due = this.waiting_ads[0] === "before" || (typeof this.waiting_ads[0] === "number" && this.resume_at >= this.waiting_ads[0]);
    this.ad = due;
    if (due) {
      this.waiting_ads.shift();
    }
    // Before the element changes: the class tells what it plays.
    this.element.classList.toggle("ad-showing", due);
    this.element.classList.toggle("ad-interrupting", due);
    if (this.current.live && !due) {
      this.playLive();
    } else {
      this.video.src = `/media/${due ? "ad" : this.current.media ?? "long"}.webm?of=${this.current.id}`;
      if (!due && this.resume_at > 0) {
        this.video.currentTime = this.resume_at;
      }
    }
    this.video.play().catch((error) => console.log("play", String(error)));
  }

  /** A stream without an end, whose clock began long ago. */
  playLive() {
    const source = new MediaSource();
    this.video.src = URL.createObjectURL(source);
    source.addEventListener("sourceopen", async () => {
      const buffer = source.addSourceBuffer('video/webm; codecs="vp8, opus"');
      source.duration = Infinity;
      buffer.timestampOffset = 7_200;
      const response = await fetch("/media/long.webm");
      buffer.appendBuffer(await response.arrayBuffer());
      buffer.addEventListener("updateend", () => { this.video.currentTime = 7_200.5; }, { once: true });
    }, { once: true });
  }

  onTime() {
    const ad = this.waiting_ads?.[0];
    if (!this.ad && typeof ad === "number" && this.video.currentTime >= ad) {
      this.resume_at = this.video.currentTime;
      this.next();
    }
  }

  onEnded() {
    if (this.ad) {
      this.next();
    } else if (this.current.next) {
      // A playlist in the background: the video changes, no navigation is told of.
      this.load(this.current.next);
    }
  }

  stop() {
    truth.settle();
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.current = null;
  }
}

const main = new Player("movie_player");
const shorts = new Player("shorts-player");
let ownerTimer = 0;

function showOwner(id) {
  clearTimeout(ownerTimer);
  const music = location.hostname === "music.youtube.com";
  const link = $(music ? "ytmusic-player-bar a" : "ytd-video-owner-renderer a");
  const { channel, channel_id, handle, late_channel_ms = 300 } = videos[id] ?? {};
  if (channel) {
    ownerTimer = setTimeout(() => {
      link.textContent = channel;
      link.setAttribute("href", music ? `channel/${channel_id}` : `/${handle}`);
    }, late_channel_ms);
  }
}

function show() {
  const path = location.pathname;
  const id = path === "/watch" ? new URLSearchParams(location.search).get("v") : /^\/(?:live|embed)\/(.+)/.exec(path)?.[1];
  const short = /^\/shorts\/(.+)/.exec(path)?.[1];
  $("ytd-watch-flexy").hidden = !id;
  $("ytd-shorts").hidden = !short;
  $("ytd-browse").hidden = Boolean(id || short);
  if (short) {
    main.stop();
    $("ytd-miniplayer").removeAttribute("active");
    $("#shorts-slot").append(shorts.element);
    shorts.load(short);
    return "shorts";
  }
  shorts.stop();
  if (id) {
    $("ytd-miniplayer").removeAttribute("active");
    if (main.element.parentNode !== $("#player-slot")) {
      move($("#player-slot"));
    }
    $("ytd-watch-flexy").setAttribute("video-id", id);
    main.load(id);
    showOwner(id);
    return "watch";
  }
  if (!$("ytd-miniplayer").hasAttribute("active")) {
    main.stop();
  }
  return "browse";
}

/** Moving an element pauses its video; YouTube plays on. */
function move(slot) {
  const playing = !main.video.paused && main.current;
  slot.append(main.element);
  if (playing) {
    main.video.play().catch((error) => console.log("play", String(error)));
  }
}

const site = {
  main,
  shorts,
  /** Navigate as a click on a link does: no reload. */
  go(url, { miniplayer = false } = {}) {
    document.dispatchEvent(new CustomEvent("yt-navigate-start", { bubbles: true, detail: { url } }));
    if (miniplayer) {
      $("ytd-miniplayer").setAttribute("active", "");
      move($("#miniplayer-slot"));
    }
    history.pushState({}, "", url);
    const pageType = show();
    document.dispatchEvent(new CustomEvent("yt-navigate-finish", { bubbles: true, detail: { pageType } }));
  },
  /** Hover over a thumbnail. */
  preview(on) {
    const video = $("#inline-player video");
    if (on) {
      video.src = "/media/long.webm";
      video.play();
    } else {
      video.pause();
    }
  },
  playing: () => (shorts.current ? shorts : main).video,
};
window.site = site;
addEventListener("popstate", show);
$("#pip").addEventListener("click", () => main.video.requestPictureInPicture());
$("#player-slot").append(main.element);
$("#shorts-slot").append(shorts.element);
show();
