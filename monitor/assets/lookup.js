// The page to look up drivers, boards and records. The URL fragment holds its state, so that views can be shared as links.
// The files it reads, and the search for names, are in published.js.
"use strict";
(() => {
  const { count, element, moment, published, table } = R3E;
  const PAGE = 100;
  const MAX_NAMES = 200;
  const by = (id) => document.getElementById(id);

  const hash = (view, ...parts) => `#${view}=${parts.map(encodeURIComponent).join("/")}`;
  const name = (text) => element("bdi", {}, text);
  const link = (text, ...to) => element("a", { href: hash(...to) }, name(text));
  const option = (value, text) => element("option", { value }, text);
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const text = (it) => (it === null || it === undefined || it === "" ? "–" : String(it));
  // A board has entries as the service sent them, in which a field can have any type.
  const string = (it) => (typeof it === "string" ? it : "");
  const [lap, gap] = [0, 1].map((part) => (laptime) => text(string(laptime).split(", ")[part]));
  // Both forms that the service writes, to the minute.
  const date = (written) =>
    text(string(written).replace(/^(\d\d)\/(\d\d)\/(\d{4})/, "$3-$1-$2").replace("T", " ").replace(/( \d\d:\d\d):.*$/, "$1"));
  // As the index has it.
  const position = (index) => (Number.isInteger(index) && index >= 0 && index < 2 ** 32 ? index + 1 : 1);

  // Another choice on the page: the address follows, without a step back to each.
  const choose = (...to) => {
    history.replaceState(null, "", hash(...to));
    show();
  };

  // A table that shows the first rows, and more of them on demand.
  const paged = (columns, rows, none) => {
    const place = element("div", { class: "table" });
    const more = element("button", { type: "button" }, "Show more");
    let shown = PAGE;
    const draw = () => {
      table(place, columns, rows.slice(0, shown), none);
      more.hidden = rows.length <= shown;
    };
    more.addEventListener("click", () => {
      const next = shown;
      shown += PAGE * 5;
      draw();
      // The keyboard goes on where the new rows begin, even if the button has gone.
      place.querySelector(`tbody tr:nth-child(${next + 1}) a`)?.focus();
    });
    draw();
    return [place, more];
  };

  const drivers = async ([part = ""], isCurrent) => {
    const input = by("name");
    if (document.activeElement !== input) input.value = part;
    const wanted = part.trim();
    // One letter is a whole name in some scripts.
    const isShort = wanted.length < 2 && !/[^\0-\u02ff]/.test(wanted);
    const names = wanted === "" ? [] : await published.search(wanted);
    if (!isCurrent()) return;
    const shown = isShort ? [] : names.slice(0, MAX_NAMES);
    const first = names.length > MAX_NAMES ? `, the first ${MAX_NAMES} are shown` : "";
    by("found").textContent = isShort
      ? "Type two letters or more of a name. Case and accents do not matter."
      : `${names.length === 1 ? "1 name" : `${count(names.length)} names`}${first}`;
    by("names").replaceChildren(...shown.map((it) => element("li", {}, link(it.name, "driver", it.key))));
  };

  const RESULTS = [["Track"], ["Class"], ["Position", "number"], ["Lap", "number"], ["Gap", "number"], ["Car"], ["Date", "date"]];
  const driver = async ([key = "", wanted = ""], isCurrent) => {
    const [{ results, identities }, boards] = await Promise.all([published.driver(key), published.boards()]);
    if (!isCurrent()) return;
    const tracks = new Map(boards.map((it) => [it.track_id, it.track]));
    const title = [...new Set(identities.map((it) => it.name))].join(" / ") || key;
    by("driver-name").replaceChildren(name(title));
    document.title = `${title} – ${document.title}`;
    const filter = by("class-filter");
    const classes = Map.groupBy(results, (it) => it.car_class);
    const sorted = [...classes].sort(([a], [b]) => compare(a, b));
    filter.replaceChildren(
      option("", `all (${count(results.length)})`), ...sorted.map(([it, { length }]) => option(it, `${it} (${count(length)})`)),
    );
    filter.value = classes.has(wanted) ? wanted : "";
    filter.onchange = () => choose("driver", key, ...(filter.value ? [filter.value] : []));
    const row = (it) => [
      link(tracks.get(it.track_id) ?? it.track_id, "board", it.track_id, it.class_id), it.car_class,
      `${count(it.position)} of ${count(it.total_entries)}`, lap(it.laptime), gap(it.laptime), text(it.car), date(it.date_time),
    ];
    // Several drivers can have one name; their ids tell them apart.
    const groups = Map.groupBy(results, (it) => it.path_id);
    const known = new Map(identities.map((it) => [it.path_id, it]));
    const parts = [...groups].flatMap(([id, all]) => {
      const it = known.get(id) ?? {};
      const rows = all.filter((it) => filter.value === "" || it.car_class === filter.value);
      const facts = [it.country, it.team, it.rank && `rank ${it.rank}`].filter(Boolean);
      if (groups.size > 1) facts.unshift(it.name ?? key);
      const about = element("p", { class: "note" }, ...facts.flatMap((it, i) => (i ? [" · ", name(it)] : [name(it)])));
      return [about, ...paged(RESULTS, rows.map(row), "No results in this class.")];
    });
    by("results").replaceChildren(...(parts.length ? parts : paged(RESULTS, [], "No results under this name.")));
  };

  const BEST_LAPS = [["Recorded", "date"], ["Driver"], ["Lap", "number"], ["Gain", "number"], ["Car"], ["Driven", "date"]];
  // The record over time: a step down for each new best lap, up to now. It may be missing while the board is there.
  const recordLine = ({ laps = [], error = null }) => {
    by("record-line").hidden = laps.length === 0 && error === null;
    const hasSteps = laps.length > 1;
    for (const id of ["record-steps", "record-last"]) by(id).toggleAttribute("hidden", !hasSteps);
    by("record-count").parentElement.hidden = laps.length === 0;
    by("record-first").textContent = error ?? "";
    if (laps.length === 0) return;
    const [first, last] = [laps[0], laps.at(-1)];
    const day = (it) => date(it.observed_at).split(" ")[0];
    const now = `${lap(last.laptime)} since ${day(last)}`;
    by("record-first").textContent = hasSteps ? `${lap(first.laptime)} on ${day(first)}` : now;
    by("record-last").textContent = now;
    const [from, to] = [Date.parse(first.observed_at), Math.max(Date.now(), Date.parse(last.observed_at))];
    const x = (it) => (100 * (Date.parse(it.observed_at) - from)) / (to - from || 1);
    const y = (it) => 3 + (94 * (first.laptime_ms - it.laptime_ms)) / (first.laptime_ms - last.laptime_ms || 1);
    const steps = laps.map((it) => `H${x(it).toFixed(2)}V${y(it).toFixed(2)}`);
    by("record-steps").firstElementChild.setAttribute("d", `M0,${y(first)}${steps.join("")}H100`);
    const row = (it) => {
      const driver = string(it.driver);
      const gain = Number.isFinite(it.gain_ms) ? `${(it.gain_ms / 1000).toFixed(3)}s` : "–";
      return [date(it.observed_at), driver ? link(driver, "driver", driver) : "–", lap(it.laptime), gain, text(string(it.car)), date(it.lap_date)];
    };
    by("record-count").textContent = laps.length === 1 ? "1 record" : `${count(laps.length)} records`;
    by("record-laps").replaceChildren(...paged(BEST_LAPS, laps.map(row).reverse()));
  };

  const ENTRIES = [["Position", "number"], ["Driver"], ["Lap", "number"], ["Gap", "number"], ["Car"], ["Country"], ["Date", "date"]];
  const board = async ([track = "", car_class = ""], isCurrent) => {
    const boards = await published.boards();
    if (!isCurrent()) return;
    const [tracks, classes] = [by("track"), by("class")];
    const names = new Map(boards.map((it) => [it.track_id, it.track]));
    const sorted = [...names].sort((a, b) => compare(a[1], b[1]));
    tracks.replaceChildren(option("", "choose a track"), ...sorted.map(([id, name]) => option(id, name)));
    tracks.value = names.has(track) ? track : "";
    const ofTrack = boards.filter((it) => it.track_id === track).sort((a, b) => compare(a.class_name, b.class_name));
    classes.replaceChildren(
      option("", "choose a class"), ...ofTrack.map((it) => option(it.class_id, `${it.class_name} (${count(it.entry_count)})`)),
    );
    const chosen = ofTrack.find((it) => it.class_id === car_class);
    classes.value = chosen?.class_id ?? "";
    classes.disabled = ofTrack.length === 0;
    // The class stays if the other track has it.
    tracks.onchange = () => choose("board", tracks.value, car_class);
    classes.onchange = () => choose("board", track, classes.value);
    const ids = [chosen?.track_id, chosen?.class_id];
    const [found, line] = chosen
      ? await Promise.all([
          published.board(...ids),
          published.records(...ids).then((laps) => ({ laps }), ({ message }) => ({ error: `cannot be read: ${message}` })),
        ])
      : [null, {}];
    if (!isCurrent()) return;
    recordLine(line);
    if (chosen) document.title = `${chosen.track}, ${chosen.class_name} – ${document.title}`;
    const row = (it) => {
      const driver = string(it?.driver?.name);
      return [
        count(position(it?.index)), driver ? link(driver, "driver", driver) : "–", lap(it?.laptime), gap(it?.laptime),
        text(string(it?.car_class?.car?.name)), text(string(it?.country?.name)), date(it?.date_time),
      ];
    };
    const rows = (found?.track_info?.Data ?? []).map(row);
    const none = track && car_class ? "Nobody has a lap in this class on this track." : "Choose a track and a class.";
    by("board").replaceChildren(...paged(ENTRIES, rows, none));
  };

  const FIGURES = {
    pole: "pole_positions", podium: "podiums", bested: "bested_drivers", avg_bested: "avg_bested", entries: "entries",
  };
  const records = async ([wanted, by_what], isCurrent) => {
    const manifest = await published.statistics();
    if (!isCurrent()) return;
    const [scope, metric] = [by("scope"), by("metric")];
    const scopes = new Map([["overall", ["all classes", manifest.overall_top]]]);
    for (const it of manifest.superclasses) scopes.set(`category ${it.id}`, [`${it.name} (category)`, it.files]);
    const classes = [...manifest.classes].sort((a, b) => compare(a.name, b.name));
    for (const it of classes) scopes.set(`class ${it.id}`, [it.name, it.files]);
    scope.replaceChildren(...[...scopes].map(([id, [name]]) => option(id, name)));
    scope.value = scopes.has(wanted) ? wanted : "overall";
    metric.value = Object.hasOwn(FIGURES, by_what) ? by_what : "pole";
    scope.onchange = metric.onchange = () => choose("records", scope.value, metric.value);
    const { results } = await published.file(scopes.get(scope.value)[1][`${metric.value}_file`]);
    if (!isCurrent()) return;
    const what = metric.selectedOptions[0].textContent;
    const label = what[0].toUpperCase() + what.slice(1);
    document.title = `${label} – ${document.title}`;
    const figure = (it) => (metric.value === "avg_bested" ? `${it.avg_bested.toFixed(2)} %` : count(it[FIGURES[metric.value]]));
    const others = metric.value === "entries" ? [] : [["Entries", "number"]];
    const columns = [["Place", "number"], ["Driver"], [label, "number"], ...others, ["Country"], ["Team"]];
    const row = (it, at) => [
      count(at + 1), link(it.name, "driver", it.name), figure(it), ...others.map(() => count(it.entries)), text(it.country),
      text(it.team),
    ];
    by("records").replaceChildren(...paged(columns, results.map(row), "Nobody is in this list."));
  };

  // A shared address may have been cut.
  const decoded = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };

  const VIEWS = { drivers, driver, board, records };
  const TITLE = document.title;
  let made = null;
  let turn = 0;
  const show = async () => {
    // What arrives after something else was asked for is not shown.
    const mine = ++turn;
    const isCurrent = () => mine === turn;
    const [, asked, rest = ""] = location.hash.match(/^#(\w+)(?:=(.*))?$/) ?? [null, "drivers"];
    const view = Object.hasOwn(VIEWS, asked) ? asked : "drivers";
    for (const it of document.querySelectorAll("nav a")) {
      const isHere = it.getAttribute("href") === `#${view === "driver" ? "drivers" : view}`;
      if (isHere) it.setAttribute("aria-current", "page");
      else it.removeAttribute("aria-current");
    }
    document.title = TITLE;
    const finish = (message) => {
      if (!isCurrent()) return;
      by("message").hidden = message === null;
      by("message").textContent = message;
      for (const it of Object.keys(VIEWS)) by(`${it}-view`).hidden = message !== null || it !== view;
      document.querySelector("main").removeAttribute("aria-busy");
      document.body.dataset.shown = location.hash;
    };
    if (made === null) return finish("Nothing is published yet. This page fills when r3e-loader has loaded boards and written the index.");
    document.querySelector("main").setAttribute("aria-busy", "true");
    try {
      await VIEWS[view](rest === "" ? [] : rest.split("/").map(decoded), isCurrent);
      finish(null);
    } catch (error) {
      finish(error.message);
    }
  };

  const state = (kind, message) => {
    by("state").dataset.state = kind;
    by("state").textContent = message;
  };

  const refresh = async () => {
    try {
      const found = await published.refresh();
      made = found.made;
      if (made === null) state("waiting", "nothing published");
      else {
        const { total_entries, total_drivers } = found.status;
        state("live", `${count(total_entries)} results of ${count(total_drivers)} drivers, index of ${moment(made)}`);
      }
      if (found.changed || made === null) await show();
    } catch (error) {
      state("gone", `The published files cannot be read: ${error.message}. Trying again.`);
    }
  };

  by("name").addEventListener("input", () => choose("drivers", by("name").value));
  by("name").addEventListener("keydown", (event) => {
    const first = by("names").querySelector("a");
    if (event.key === "ArrowDown") first?.focus();
    else if (event.key === "Enter") first?.click();
    else return;
    event.preventDefault();
  });
  by("names").addEventListener("keydown", (event) => {
    const item = document.activeElement.closest("li");
    if (event.key === "ArrowDown") item.nextElementSibling?.firstChild.focus();
    else if (event.key === "ArrowUp") (item.previousElementSibling?.firstChild ?? by("name")).focus();
    else return;
    event.preventDefault();
  });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  // Where the keyboard and screen readers start in a new view.
  const focus = () => document.querySelector("section:not([hidden])")?.querySelector("[tabindex], input, select").focus();
  addEventListener("hashchange", async () => {
    await show();
    focus();
    scrollTo(0, 0);
  });
  addEventListener("visibilitychange", () => document.hidden || refresh());
  setInterval(refresh, 60_000);
  refresh().then(() => by("drivers-view").hidden || focus());
})();
