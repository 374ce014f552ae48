// Memory over time: downsampled points from the history, followed by live ones, arranged in lanes. Consecutive processes of
// one program share a lane; concurrent ones have one each.
"use strict";
(() => {
  const COLUMNS = ["allocated_bytes", "rss_bytes", "limit_bytes", "tasks", "open_fds", "connections"];
  const MOST_LIVE = 900;

  class Store {
    constructor() {
      this.processes = new Map();
      this.gapMs = 30000;
    }

    entry({ program, pid, started_ms: started, phase }) {
      const key = `${program} ${pid} ${started}`;
      if (!this.processes.has(key)) {
        this.processes.set(key, { program, pid, started, phase, past: null, live: [], now: null });
      }
      return this.processes.get(key);
    }

    takePast(past) {
      this.gapMs = Math.max(2.5 * past.slot_ms, 2.5 * past.every_ms, 15000);
      for (const entry of this.processes.values()) entry.past = null;
      for (const series of past.series) {
        const entry = this.entry(series);
        entry.past = series;
        entry.phase = entry.now ? entry.phase : series.phase;
      }
    }

    takeNow(now) {
      for (const entry of this.processes.values()) entry.now = null;
      for (const process of now.processes) {
        if (process.state !== "answers") continue;
        const entry = this.entry(process);
        entry.now = process;
        entry.phase = process.phase;
        entry.live.push({ at_ms: now.at_ms, progress: process.progress, values: COLUMNS.map((it) => process[it] ?? null) });
        if (entry.live.length > MOST_LIVE) entry.live.splice(0, entry.live.length - MOST_LIVE);
      }
    }

    // Seconds until all boards are dealt with, by how it went on while this page looked on; null where that is not known.
    timeLeft(process) {
      const entry = this.entry(process);
      const progress = process.progress;
      if (!progress || !progress.total) return null;
      const done = (it) => it.fetched + it.failed;
      const last = entry.live.at(-1);
      const since = entry.live.find((it) => it.progress && it.progress.total === progress.total && last.at_ms - it.at_ms <= 60000);
      if (!since || since === last) return null;
      const rate = (done(progress) - done(since.progress)) / ((last.at_ms - since.at_ms) / 1000);
      return rate > 0 ? (progress.total - done(progress)) / rate : null;
    }

    // All points of a process within a span, by time.
    points(entry, fromMs) {
      const points = [];
      const past = entry.past;
      if (past) past.at_ms.forEach((at, i) => points.push([at, ...COLUMNS.map((it) => past[it][i])]));
      const lastPast = past && past.at_ms.length ? past.at_ms.at(-1) : 0;
      for (const { at_ms: at, values } of entry.live) if (at > lastPast) points.push([at, ...values]);
      return points.filter(([at]) => at >= fromMs);
    }

    lanes(fromMs) {
      const found = [];
      for (const [key, entry] of this.processes) {
        const points = this.points(entry, fromMs);
        if (points.length) found.push({ entry, points });
        else if (!entry.now && !entry.past) this.processes.delete(key);
      }
      found.sort((a, b) => a.points[0][0] - b.points[0][0] || a.entry.pid - b.entry.pid);
      const lanes = [];
      for (const { entry, points } of found) {
        const fits = (lane) => lane.program === entry.program && lane.end < points[0][0];
        let lane = lanes.find((it) => fits(it) && it.phase === entry.phase) ?? lanes.find(fits);
        if (!lane) {
          const number = lanes.filter((it) => it.program === entry.program).length;
          lane = { key: `${entry.program} ${number}`, program: entry.program, columns: [[], ...COLUMNS.map(() => [])] };
          lanes.push(lane);
        }
        this.append(lane, points);
        Object.assign(lane, { end: points.at(-1)[0], phase: entry.phase, pid: entry.pid, now: entry.now });
      }
      // Jobs first, then those that watch.
      const watches = (lane) => Number(lane.program === "r3e-monitor");
      return lanes.sort((a, b) => watches(a) - watches(b) || a.key.localeCompare(b.key));
    }

    // Puts nothing where nothing was seen, so that no line leads across.
    append(lane, points) {
      let last = lane.columns[0].length ? -Infinity : null;
      for (const point of points) {
        if (last !== null && point[0] - last > this.gapMs) {
          const at = last === -Infinity ? point[0] - 1 : last + 1;
          lane.columns.forEach((column, i) => column.push(i ? null : at / 1000));
        }
        lane.columns.forEach((column, i) => column.push(i ? point[i] : point[0] / 1000));
        last = point[0];
      }
    }
  }

  R3E.Store = Store;
  R3E.COLUMNS = COLUMNS;
})();
