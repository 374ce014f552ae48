// The dashboard's tables.
"use strict";
(() => {
  const { bytes, count, seconds, moment, element, table } = R3E;

  const badge = (kind, text) => element("span", { class: `badge ${kind}` }, text);

  const VERDICTS = { leak: "bad", suspect: "warn", flat: "good" };
  const verdictBadge = (it) => badge(VERDICTS[it] ?? "", it);

  const progress = (process, left) => {
    const at = process.progress;
    if (!at || !at.total) return "–";
    const done = at.fetched + at.failed;
    const share = Math.floor((done * 100) / at.total);
    const more = [`${count(done)} of ${count(at.total)} (${share} %)`, left === null ? null : `${seconds(left)} left`];
    if (at.failed) more.push(`${count(at.failed)} failed`);
    const bar = element("progress", { max: at.total, value: done, "aria-label": `${process.program} progress` });
    return [bar, element("small", {}, more.filter(Boolean).join(" · "))];
  };

  const processes = (place, now, verdicts, timeLeft) => {
    const columns = [
      ["Program"], ["Phase"], ["Progress"], ["Resident", "number"], ["Allocated", "number"], ["Limit", "number"],
      ["Tasks", "number"], ["Descriptors", "number"], ["Connections", "number"], ["Up", "number"], ["Verdict"],
    ];
    const phase = (it) => {
      const next = it.schedule?.next_run_at;
      return next ? [it.phase, element("small", {}, `next run ${next}`)] : it.phase;
    };
    const row = (it) => {
      const name = [it.program, element("small", {}, `pid ${it.pid}`)];
      if (it.state !== "answers") {
        return [name, [badge("bad", it.state), element("small", {}, it.why ?? "")], ...Array(8).fill("–"), "–"];
      }
      const verdict = verdicts.find((v) => v.pid === it.pid && Math.abs(v.started_ms - it.started_ms) < 5000);
      return [
        name, phase(it), progress(it, timeLeft(it)),
        [bytes(it.rss_bytes), element("small", {}, `RssAnon ${bytes(it.rss_anon_bytes)}, peak ${bytes(it.peak_rss_bytes)}`)],
        bytes(it.allocated_bytes),
        it.limit_bytes ? [bytes(it.limit_bytes), element("small", {}, `${Math.round((it.rss_bytes * 100) / it.limit_bytes)} % used`)] : "none",
        count(it.tasks), count(it.open_fds), count(it.connections), seconds(it.uptime_s),
        verdictBadge(verdict ? verdict.verdict : "too few samples"),
      ];
    };
    const worst = (it) => (it.state === "answers" ? it.rss_bytes : Infinity);
    const sorted = [...now.processes].sort((a, b) => worst(b) - worst(a) || a.pid - b.pid);
    table(place, columns, sorted.map(row), "No program runs that has a control socket.");
  };

  const signed = (show, it) => `${it < 0 ? "−" : "+"}${show(Math.abs(it))}`;
  const BYTES = ["allocated", "resident", "peak"];
  const verdicts = (place, list) => {
    const columns = [["Process or job"], ["Verdict"], ["Figure"], ["Growth", "number"], ["95 % between", "number"], ["Smallest visible", "number"], ["Samples", "number"]];
    const rows = [];
    for (const it of list) {
      const name = () => [it.program, element("small", {}, it.pid ? `pid ${it.pid}` : it.doing)];
      const worst = it.figures.filter((f) => f.verdict === "leak" || f.verdict === "suspect");
      const shown = worst.length ? worst : it.figures.filter((f) => f.per_hour && BYTES.includes(f.figure));
      if (!shown.length) {
        rows.push([name(), verdictBadge(it.verdict), "all", "–", "–", "–", count(it.figures[0]?.samples)]);
      }
      for (const f of shown) {
        const show = BYTES.includes(f.figure) ? bytes : (n) => n.toFixed(n < 10 ? 2 : 0);
        const g = it.pid ? f.per_hour : f.per_cycle;
        const each = it.pid ? "an hour" : "a run";
        const growth = g ? [`${signed(show, g.likely)} ${each}`, `${signed(show, g.low)} … ${signed(show, g.high)}`, show(g.visible)] : ["–", "–", "–"];
        rows.push([name(), verdictBadge(f.verdict), f.figure, ...growth, count(f.samples)]);
      }
    }
    table(place, columns, rows, "No process was seen to purge yet, and no job has run: r3e-monitor watch has them do so.");
  };

  const runs = (place, list) => {
    const columns = [["Program"], ["Ended"], ["Took", "number"], ["Outcome"], ["Peak", "number"], ["Fetched", "number"], ["Failed", "number"]];
    const rows = list.slice(-20).reverse().map((it) => {
      const kind = it.exit_code === 0 ? "good" : it.exit_code === 3 || it.exit_code > 128 ? "warn" : "bad";
      const code = it.exit_code === null ? "no record left" : `exit ${it.exit_code}`;
      return [
        [it.program, element("small", {}, it.doing)], moment(Date.parse(it.ended_at)), seconds(it.seconds),
        [it.outcome.length > 24 ? element("span", {}, it.outcome) : badge(kind, it.outcome.replaceAll("_", " ")), element("small", {}, code)],
        bytes(it.peak_rss_bytes || null), count(it.boards?.fetched), count(it.boards?.failed),
      ];
    });
    table(place, columns, rows, "No run has ended yet.");
  };

  const failed = (place, cache) => {
    const columns = [["Track"], ["Board"], ["Why", "wide"], ["When"]];
    const rows = (cache?.failed ?? []).map((it) => [it.track_name, `${it.track_id}-${it.class_id}`, it.error, moment(Date.parse(it.timestamp))]);
    table(place, columns, rows, cache ? "No board failed the last time." : "The cache has no status.json yet.");
    const more = (cache?.failed_count ?? 0) - rows.length;
    if (rows.length && more > 0) place.append(element("p", {}, `and ${count(more)} more: see status.json`));
  };

  const cache = (place, status, archive) => {
    const figures = status?.figures ?? {};
    const when = (key) => moment(Date.parse(figures[key] ?? ""));
    const tile = (name, value, small, kind) =>
      element("div", {}, element("dt", {}, name), element("dd", { class: kind }, value, small ? element("small", {}, small) : null));
    const last = archive?.last_run;
    const archived = archive
      ? [
          tile("Nights recorded", count(archive.nights), `${count(archive.rows)} rows, ${bytes(archive.bytes)}`),
          tile("Last recorded", moment(Date.parse(last.recorded_at)), `${count(last.boards)} boards, ${count(last.rows)} rows`),
        ]
      : [];
    if (!status) {
      place.replaceChildren(tile("Cache", "empty", "no status.json yet"), ...archived);
      return;
    }
    const bad = status.failed_count > 0;
    place.replaceChildren(
      tile("Boards", count(figures.total_fetched_combinations), `${count(figures.track_count)} with entries`),
      tile("Drivers", count(figures.total_drivers), `${count(figures.total_entries)} entries`),
      tile("Index", when("last_index_update"), `made in ${seconds((figures.index_build_time_ms ?? 0) / 1000)}`),
      tile("Last refresh", figures.fetch_in_progress ? "at work" : when("last_scrape_end"), `began ${when("last_scrape_start")}`),
      tile("Failed boards", count(status.failed_count), bad ? "see below" : "none", bad ? "bad" : null),
      ...archived,
    );
  };

  Object.assign(R3E, { tables: { processes, verdicts, runs, failed, cache } });
})();
