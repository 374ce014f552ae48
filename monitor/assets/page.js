// The dashboard page: polls the server for its data, or shows the data embedded in a report.
"use strict";
(() => {
  const { Store, Charts, tables, clock, moment, element } = R3E;
  const at = (id) => document.getElementById(id);
  const MINUTE = 60000;
  const SPANS = { "15m": 15 * MINUTE, "1h": 60 * MINUTE, "6h": 360 * MINUTE, "24h": 1440 * MINUTE, "7d": 10080 * MINUTE };
  // Programs that are not jobs: their runs are not drawn as bands.
  const DAEMONS = ["r3e-monitor", "r3e-scheduler"];
  const EVERY = { now: 2000, work: 6000, verdicts: 30000, past: 60000 };

  const store = new Store();
  const charts = new Charts();
  const known = { now: null, work: null, verdicts: [], past: null };
  const trouble = new Map();
  let goneSince = null;

  const key = () => {
    const of = (name, label) => element("span", {}, element("i", { class: name }), label);
    at("key").replaceChildren(of("resident", "resident"), of("allocated", "allocated"), of("limit", "limit"), of("run", "a job ran"));
  };

  const bands = () => {
    const runs = (known.work?.runs ?? []).filter((it) => !DAEMONS.includes(it.program));
    const ended = runs.map((it) => ({ from: Date.parse(it.started_at), to: Date.parse(it.ended_at) }));
    const jobs = (known.now?.processes ?? []).filter((it) => it.state === "answers" && !DAEMONS.includes(it.program));
    return [...ended, ...jobs.map((it) => ({ from: it.started_ms, to: known.now.at_ms }))];
  };

  const drawCharts = () => {
    const to = known.now?.at_ms ?? known.past?.to_ms;
    if (!to) return;
    const span = known.fixed ?? SPANS[at("span").value];
    const lanes = store.lanes(to - span);
    const runs = bands().filter((it) => it.to > to - span);
    // What is younger than the span is shown as wide as there is room.
    const firsts = [...lanes.map((it) => it.columns[0][0] * 1000), ...runs.map((it) => it.from)];
    const first = Math.min(...firsts, to - MINUTE);
    const from = Math.max(to - span, first - (to - first) * 0.02);
    charts.update(at("memory"), at("counts"), lanes, runs, from, to);
    const left = known.past?.left_out ? ` ${known.past.left_out} processes of this time are left out.` : "";
    const note = `${known.past?.note ?? ""}${left}`;
    at("note").textContent = known.past?.note && lanes.length ? `${note} Shown is what this page has seen.` : note;
    at("note").hidden = !note;
  };

  const drawTables = () => {
    if (known.now) tables.processes(at("processes"), known.now, known.verdicts, (it) => (known.fixed ? null : store.timeLeft(it)));
    tables.verdicts(at("verdicts"), known.verdicts);
    if (known.work) {
      tables.cache(at("cache"), known.work.cache, known.work.archive);
      tables.runs(at("runs"), known.work.runs);
      tables.failed(at("failed"), known.work.cache);
    }
  };

  const drawTrouble = () => {
    const all = [...trouble.values()].flat().filter(Boolean);
    at("trouble").replaceChildren(...[...new Set(all)].map((it) => element("li", {}, it)));
    at("trouble").hidden = !all.length;
  };

  const take = {
    now: (it) => {
      known.now = it;
      store.takeNow(it);
      trouble.set("now", it.trouble);
    },
    work: (it) => {
      known.work = it;
      trouble.set("work", it.trouble);
    },
    verdicts: (it) => {
      known.verdicts = it;
    },
    past: (it) => {
      known.past = it;
      store.takePast(it);
    },
  };

  const draw = () => {
    drawTables();
    drawCharts();
    drawTrouble();
    document.body.dataset.drawn = "yes";
  };

  const state = (kind, text) => {
    if (at("state").textContent !== text) at("state").textContent = text;
    at("state").dataset.state = kind;
    document.body.classList.toggle("gone", kind === "gone");
  };

  const ask = async (name) => {
    const query = name === "past" ? `?since=${at("span").value}` : "";
    const answer = await fetch(`api/${name}${query}`, { signal: AbortSignal.timeout(10000), cache: "no-store" });
    const said = await answer.json();
    if (name === "past" && query !== `?since=${at("span").value}`) return;
    trouble.delete(name);
    if (answer.ok) take[name](said);
    else trouble.set(name, said.error ?? `${name}: ${answer.status}`);
  };

  const due = { past: 0, work: 0, verdicts: 0, now: 0 };
  let asking = false;
  const round = async () => {
    // One round at a time, and none while nobody looks.
    if (asking || document.hidden) return;
    asking = true;
    try {
      for (const name of Object.keys(due)) {
        if (Date.now() < due[name]) continue;
        try {
          await ask(name);
        } catch (error) {
          // The server is there as long as it says what is now; the rest may be late.
          if (name === "now") throw error;
          trouble.set(name, `${name}: ${error.message}`);
        }
        due[name] = Date.now() + EVERY[name] - 100;
      }
      goneSince = null;
      state("live", `live, ${clock(new Date(), true)}`);
      draw();
    } catch (error) {
      goneSince ??= Date.now();
      state("gone", `The server does not answer since ${clock(new Date(goneSince), true)}: ${error.message}. Trying again.`);
    } finally {
      asking = false;
    }
  };

  const live = () => {
    at("pages").hidden = false;
    at("about").textContent = "The same figures for programs: /metrics, /api/now, /api/past?since=24h, /api/work, /api/verdicts. The published files: /cache/…";
    at("span").addEventListener("change", () => {
      due.past = 0;
      round();
    });
    document.addEventListener("visibilitychange", round);
    setInterval(round, EVERY.now);
    round();
  };

  const report = (data) => {
    for (const name of ["past", "work", "verdicts", "now"]) take[name](data[name]);
    known.fixed = data.past.to_ms - data.past.from_ms;
    at("span-label").hidden = true;
    document.title = `r3e-leaderboard, ${moment(data.past.to_ms)}`;
    const from = new Date(data.past.from_ms).toLocaleString();
    state("report", `report of ${new Date(data.past.to_ms).toLocaleString()}, since ${from}`);
    at("about").textContent = `Written by r3e-monitor ${data.version}.`;
    draw();
  };

  key();
  const data = at("data");
  if (data) report(JSON.parse(data.textContent));
  else live();
})();
