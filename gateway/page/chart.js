/* global uPlot */
/** The day by hour: stacked columns, drawn by uPlot. */

import { duration } from "./words.js";

/** Hours of a day. */
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const HEIGHT = 220;
const MINUTE_MS = 60_000;
/** Distances between lines, minutes: those that read well as minutes and as hours. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3000, 6000, 12000, 30000, 60000, 120000, 300000, 600000];

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class HourChart {
  /**
   * @param {HTMLElement} place
   * @param {HTMLElement} told where the hour under the pointer is told
   */
  constructor(place, told) {
    this.place = place;
    this.told = told;
    /** @type {Array<{hour: number, watch_ms_fg: number, watch_ms_bg: number, ad_ms: number}>} */
    this.hours = [];
    this.plot = null;
    new ResizeObserver(() => this.#fit()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.plot?.destroy();
      this.plot = null;
      this.show(this.hours);
    });
  }

  /** @param {HourChart["hours"]} hours */
  show(hours) {
    this.hours = hours;
    const by = new Map(hours.map((row) => [row.hour, row]));
    const of = (/** @type {(row: any) => number} */ read) => HOURS.map((hour) => (by.has(hour) ? read(by.get(hour)) / MINUTE_MS : 0));
    // Each column stands on those before it; the tallest is drawn first.
    const data = [
      HOURS,
      of((row) => row.watch_ms_fg + row.watch_ms_bg + row.ad_ms),
      of((row) => row.watch_ms_fg + row.watch_ms_bg),
      of((row) => row.watch_ms_fg),
    ];
    if (this.plot === null) {
      this.plot = new uPlot(this.#options(), data, this.place);
    } else {
      this.plot.setData(data);
    }
  }

  #options() {
    const bars = uPlot.paths.bars({ size: [0.72, 60], radius: 0.12 });
    const series = (/** @type {string} */ label, /** @type {string} */ name) => ({
      label,
      fill: colour(name),
      stroke: colour(name),
      width: 0,
      paths: bars,
      points: { show: false },
    });
    const axis = { stroke: colour("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    return {
      width: this.#width(),
      height: HEIGHT,
      padding: [12, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false, range: [-0.6, 23.6] }, y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.08)] } },
      axes: [
        { ...axis, size: 30, grid: { show: false }, splits: () => HOURS.filter((hour) => hour % this.#step() === 0), values: (_plot, at) => at.map((hour) => `${String(hour).padStart(2, "0")}:00`) },
        { ...axis, size: 62, incrs: STEPS, grid: { stroke: colour("--line"), width: 1 }, values: (_plot, at) => at.map((minutes) => axisTime(minutes)) },
      ],
      series: [{}, series("Ads", "--ad"), series("Background", "--soft"), series("Foreground", "--accent")],
      hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx)] },
    };
  }

  /** @param {number | null | undefined} hour */
  #tell(hour) {
    const row = this.hours.find((one) => one.hour === hour);
    this.told.textContent = row
      ? `${String(row.hour).padStart(2, "0")}:00: ${duration(row.watch_ms_fg)} foreground, ${duration(row.watch_ms_bg)} background, ${duration(row.ad_ms)} ads`
      : "UTC";
  }

  #fit() {
    if (this.plot && this.plot.width !== this.#width()) {
      this.plot.setSize({ width: this.#width(), height: HEIGHT });
    }
  }

  #width() {
    return Math.max(200, this.place.clientWidth);
  }

  #step() {
    return this.#width() < 560 ? 6 : 3;
  }
}

/** @param {number} minutes */
function axisTime(minutes) {
  if (minutes === 0) {
    return "0";
  }
  return minutes >= 60 ? `${+(minutes / 60).toFixed(1)} h` : `${+minutes.toFixed(1)} min`;
}
