// The charts: memory per lane, and counts over all lanes. A chart is created once and updated with new data; it uses the
// colours of the page.
"use strict";
(() => {
  const { bytes, count, clock, day, element } = R3E;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const BINARY = Array.from({ length: 42 }, (_, i) => 2 ** i).flatMap((it) => [it, it * 1.25, it * 1.5]).filter(Number.isInteger);

  const timeAxis = (_u, splits, _axis, _space, step) => {
    let before = "";
    return splits.map((at) => {
      const date = new Date(at * 1000);
      const today = day(date);
      const isNew = before !== "" && before !== today;
      before = today;
      if (step >= 86400 || (isNew && clock(date) === "00:00")) return today;
      return clock(date, step < 60);
    });
  };

  // Bands where jobs ran, behind the lines.
  const bands = (state) => ({
    hooks: {
      drawClear: (u) => {
        const { left, top, width, height } = u.bbox;
        const [fill, edge] = [colour("run"), colour("run-edge")];
        u.ctx.save();
        u.ctx.beginPath();
        u.ctx.rect(left, top, width, height);
        u.ctx.clip();
        for (const { from, to } of state.runs) {
          if (to < state.from || from > state.to) continue;
          const [x, end] = [from, to].map((it) => u.valToPos(it, "x", true));
          u.ctx.fillStyle = fill;
          u.ctx.fillRect(x, top, Math.max(end - x, 1), height);
          u.ctx.fillStyle = edge;
          u.ctx.fillRect(x, top, Math.max(devicePixelRatio, 1), height);
        }
        u.ctx.restore();
      },
    },
  });

  class Charts {
    constructor() {
      this.state = { runs: [], from: 0, to: 1 };
      this.made = new Map();
      this.resized = new ResizeObserver((entries) => {
        for (const { target, contentRect } of entries) {
          const chart = this.made.get(target.dataset.key);
          if (chart && chart.u && contentRect.width > 0) chart.u.setSize({ width: Math.floor(contentRect.width), height: 190 });
        }
      });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.forget());
    }

    // Makes all anew with the next data.
    forget() {
      for (const chart of this.made.values()) chart.u?.destroy();
      for (const chart of this.made.values()) chart.u = null;
      if (this.again) this.again();
    }

    options(series, value, width, ticks) {
      const [line, text] = [colour("line"), colour("quiet")];
      const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
      return {
        width,
        height: 190,
        cursor: { sync: { key: "all" }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true, range: () => [this.state.from, this.state.to] }, y: { range: (_u, _min, max) => [0, (max || 1) * 1.1] } },
        axes: [
          { ...axis, values: timeAxis, space: 60, size: 32 },
          { ...axis, size: 64, values: (_u, splits) => splits.map((it) => value(it).replace(".0 ", " ")), ...ticks },
        ],
        series: [{ value: (_u, at) => (at === null ? "–" : clock(new Date(at * 1000), true)), label: "at" }, ...series],
        plugins: [bands(this.state)],
      };
    }

    // Shows data in the figure of that key, which is made where it is missing.
    show(into, key, title, detail, series, data, value, ticks = {}) {
      let chart = this.made.get(key);
      if (!chart) {
        const plot = element("div", { class: "plot", "data-key": key });
        const [name, more] = [element("strong"), element("span")];
        const figure = element("figure", {}, element("figcaption", {}, name, more), plot);
        chart = { plot, name, more, figure, u: null, shape: "" };
        this.made.set(key, chart);
        into.append(figure);
        this.resized.observe(plot);
      }
      chart.name.textContent = title;
      chart.more.textContent = detail;
      chart.plot.setAttribute("role", "img");
      chart.plot.setAttribute("aria-label", `${title}: ${detail}`);
      chart.figure.dataset.points = String(data[0].length);
      const shape = series.map((it) => it.label).join();
      if (chart.u && chart.shape !== shape) {
        chart.u.destroy();
        chart.u = null;
      }
      if (chart.u) {
        chart.u.setData(data);
      } else {
        chart.shape = shape;
        const width = Math.max(Math.floor(chart.plot.getBoundingClientRect().width), 100);
        chart.u = new uPlot(this.options(series, value, width, ticks), data, chart.plot);
      }
      chart.seen = true;
    }

    memory(into, lanes) {
      const line = (label, name, more) => ({ label, stroke: colour(name), width: 1.5, value: (_u, it) => bytes(it), points: { show: false }, ...more });
      const series = [
        line("resident", "resident", { fill: `color-mix(in srgb, ${colour("resident")} 12%, transparent)` }),
        line("allocated", "allocated"),
        line("limit", "limit", { dash: [6, 4] }),
      ];
      for (const lane of lanes) {
        const [x, allocated, resident, limit] = lane.columns;
        const last = (column) => column.at(-1);
        const most = last(limit) === null ? "no limit" : `limit ${bytes(last(limit))}`;
        const end = lane.now ? `${lane.phase} · pid ${lane.pid}` : `ended ${R3E.moment(lane.end)}`;
        const detail = `${end} · resident ${bytes(last(resident))} · allocated ${bytes(last(allocated))} · ${most}`;
        this.show(into, `memory ${lane.key}`, lane.program, detail, series, [x, resident, allocated, limit], bytes, { incrs: BINARY });
      }
    }

    counts(into, lanes) {
      const names = [["tasks", 4], ["descriptors", 5], ["connections", 6]];
      const label = (lane) => (lanes.filter((it) => it.program === lane.program).length > 1 ? `${lane.program} ${lane.phase}` : lane.program);
      const series = lanes.map((lane, i) => ({
        label: label(lane), stroke: colour(`lane-${i % 6}`), width: 1.5, points: { show: false },
        dash: i >= 6 ? [4, 4] : undefined, value: (_u, it) => count(it), spanGaps: false,
      }));
      for (const [name, column] of names) {
        const tables = lanes.map((lane) => [lane.columns[0], lane.columns[column]]);
        const data = tables.length ? uPlot.join(tables, tables.map(() => [0, 2])) : [[]];
        const now = lanes.filter((it) => it.now).reduce((sum, it) => sum + (it.columns[column].at(-1) ?? 0), 0);
        const whole = (splits) => (Number.isInteger(splits) ? count(splits) : "");
        this.show(into, `count ${name}`, name[0].toUpperCase() + name.slice(1), `${count(now)} in all now`, series, data, whole);
      }
    }

    // Shows lanes and runs of a span; all in milliseconds.
    update(memory, counts, lanes, runs, fromMs, toMs) {
      this.again = () => this.update(memory, counts, lanes, runs, fromMs, toMs);
      Object.assign(this.state, { from: fromMs / 1000, to: toMs / 1000, runs: runs.map((it) => ({ from: it.from / 1000, to: it.to / 1000 })) });
      for (const chart of this.made.values()) chart.seen = false;
      this.memory(memory, lanes);
      this.counts(counts, lanes);
      for (const [key, chart] of this.made) {
        if (chart.seen) continue;
        this.resized.unobserve(chart.plot);
        chart.u?.destroy();
        chart.figure.remove();
        this.made.delete(key);
      }
    }
  }

  R3E.Charts = Charts;
})();
