// The page to look things up. The address after # says what is shown, so that it can be kept and shared.
"use strict";
(() => {
  const { count, element, moment, published, table } = R3E;
  const PAGE = 100;
  const MOST_NAMES = 200;
  const by = (id) => document.getElementById(id);

  const link = (text, hash) => element("a", { href: `#${hash}` }, element("bdi", {}, text));
  const driverLink = (text, name = text) => link(text, `driver=${encodeURIComponent(name)}`);
  const boardLink = (text, track, car_class) => link(text, `board=${track}-${car_class}`);
  const option = (value, text) => element("option", { value }, text);
  const text = (it) => (it === null || it === undefined || it === "" ? "–" : String(it));
  const [lap, gap] = [0, 1].map((part) => (laptime) => text((laptime ?? "").split(", ")[part]));
  const date = (written) => text((written ?? "").replace("T", " ").replace(/(:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/, "$1"));

  // Shows the first rows, and more of them on demand.
  const paged = (place, more, columns, rows, none) => {
    let shown = PAGE;
    const show = () => {
      table(place, columns, rows.slice(0, shown), none);
      more.hidden = rows.length <= shown;
    };
    more.onclick = () => {
      shown += PAGE * 5;
      show();
    };
    show();
  };

  const drivers = async (part, isCurrent) => {
    const input = by("name");
    if (document.activeElement !== input) {
      input.value = part;
      input.focus();
    }
    if (part.trim().length < 2) {
      by("names").replaceChildren();
      by("found").textContent = "Type two letters or more of a name; accents do not matter.";
      return;
    }
    const names = await published.search(part);
    if (!isCurrent()) return;
    const more = names.length > MOST_NAMES ? `, the first ${MOST_NAMES} are shown` : "";
    by("found").textContent = `${count(names.length)} ${names.length === 1 ? "driver" : "drivers"}${more}`;
    by("names").replaceChildren(...names.slice(0, MOST_NAMES).map((it) => element("li", {}, driverLink(it.name, it.key))));
  };

  const driver = async (name, isCurrent) => {
    const [{ results, identities }, boards] = await Promise.all([published.driver(name), published.boards()]);
    if (!isCurrent()) return;
    const tracks = new Map(boards.map((it) => [it.track_id, it.track]));
    by("driver-name").replaceChildren(element("bdi", {}, identities[0]?.name ?? name));
    const known = identities.map((it) => [it.name, it.country, it.team, it.rank && `rank ${it.rank}`].filter(Boolean));
    by("identities").replaceChildren(...known.map((it) => element("p", {}, element("bdi", {}, it.join(" · ")))));
    const filter = by("class-filter");
    const classes = [...new Set(results.map((it) => it.car_class))].sort();
    filter.replaceChildren(option("", `all (${results.length})`), ...classes.map((it) => option(it, it)));
    const columns = [["Track"], ["Class"], ["Position", "number"], ["Lap", "number"], ["Gap", "number"], ["Car"], ["Date"]];
    const row = (it) => [
      boardLink(tracks.get(it.track_id) ?? it.track_id, it.track_id, it.class_id), it.car_class,
      `${it.position} of ${count(it.total_entries)}`, lap(it.laptime), gap(it.laptime), text(it.car), date(it.date_time),
    ];
    const show = () => {
      const rows = results.filter((it) => filter.value === "" || it.car_class === filter.value);
      table(by("results"), columns, rows.map(row), "No results under this name.");
    };
    filter.onchange = show;
    show();
  };

  const board = async (id, isCurrent) => {
    const boards = await published.boards();
    if (!isCurrent()) return;
    const [track, car_class] = id.split("-");
    const [tracks, classes] = [by("track"), by("class")];
    const names = new Map(boards.map((it) => [it.track_id, it.track]));
    const sorted = [...names].sort((a, b) => a[1].localeCompare(b[1]));
    tracks.replaceChildren(option("", "choose"), ...sorted.map(([id, name]) => option(id, name)));
    tracks.value = names.has(track) ? track : "";
    const ofTrack = boards.filter((it) => it.track_id === track).sort((a, b) => a.class_name.localeCompare(b.class_name));
    classes.replaceChildren(
      option("", "choose"), ...ofTrack.map((it) => option(it.class_id, `${it.class_name} (${count(it.entry_count)})`)),
    );
    classes.value = ofTrack.some((it) => it.class_id === car_class) ? car_class : "";
    tracks.onchange = () => (location.hash = `board=${tracks.value}`);
    classes.onchange = () => (location.hash = `board=${tracks.value}-${classes.value}`);
    if (!track || !car_class) {
      by("more-entries").hidden = true;
      by("board").replaceChildren(element("p", {}, "Choose a track and a class."));
      return;
    }
    const found = await published.board(encodeURIComponent(track), encodeURIComponent(car_class));
    if (!isCurrent()) return;
    const entries = found?.track_info?.Data ?? [];
    const columns = [["Position", "number"], ["Driver"], ["Lap", "number"], ["Gap", "number"], ["Car"], ["Country"], ["Date"]];
    const row = (it, at) => {
      const name = it.driver?.name ?? it.driver?.Name;
      return [
        count(at + 1), name ? driverLink(name) : "–", lap(it.laptime), gap(it.laptime),
        text(it.car_class?.car?.name ?? it.car_class?.car?.Name), text(it.country?.name ?? it.country?.Name), date(it.date_time),
      ];
    };
    paged(by("board"), by("more-entries"), columns, entries.map(row), "Nobody has a lap on this board.");
  };

  const METRICS = {
    pole: "pole_positions", podium: "podiums", bested: "bested_drivers", avg_bested: "avg_bested", entries: "entries",
  };
  const records = async (asked, isCurrent) => {
    const manifest = await published.statistics();
    if (!isCurrent()) return;
    const [scope, metric] = [by("scope"), by("metric")];
    const scopes = new Map([["overall", ["Everything", manifest?.overall_top]]]);
    for (const it of manifest?.superclasses ?? []) scopes.set(`category ${it.id}`, [`${it.name} (all classes)`, it.files]);
    const classes = [...(manifest?.classes ?? [])].sort((a, b) => a.name.localeCompare(b.name));
    for (const it of classes) scopes.set(`class ${it.id}`, [it.name, it.files]);
    scope.replaceChildren(...[...scopes].map(([id, [name]]) => option(id, name)));
    const [wanted, by_what] = asked.split("/").map(decodeURIComponent);
    scope.value = scopes.has(wanted) ? wanted : "overall";
    metric.value = Object.hasOwn(METRICS, by_what) ? by_what : "pole";
    const go = () => (location.hash = `records=${encodeURIComponent(scope.value)}/${metric.value}`);
    scope.onchange = metric.onchange = go;
    const path = scopes.get(scope.value)[1]?.[`${metric.value}_file`];
    const list = path ? await published.file(path) : null;
    if (!isCurrent()) return;
    const columns = [["Place", "number"], ["Driver"], [metric.selectedOptions[0].textContent, "number"], ["Entries", "number"], ["Country"], ["Team"]];
    const figure = (it) => (metric.value === "avg_bested" ? `${it.avg_bested} %` : count(it[METRICS[metric.value]]));
    const row = (it, at) => [
      count(at + 1), driverLink(it.name), figure(it), count(it.entries), text(it.country), text(it.team),
    ];
    paged(by("records"), by("more-records"), columns, (list?.results ?? []).map(row), "Nobody is in this list.");
  };

  const VIEWS = { drivers, driver, board, records };
  let turn = 0;
  const show = async () => {
    // What arrives after another view was asked for is not shown.
    const mine = ++turn;
    const isCurrent = () => mine === turn;
    const [, name, argument] = location.hash.match(/^#(\w+)=?(.*)$/) ?? [null, "drivers", ""];
    const view = Object.hasOwn(VIEWS, name) ? name : "drivers";
    for (const it of Object.keys(VIEWS)) by(`${it}-view`).hidden = it !== view;
    for (const it of document.querySelectorAll("nav a")) {
      const current = it.getAttribute("href") === `#${view === "driver" ? "drivers" : view}`;
      if (current) it.setAttribute("aria-current", "page");
      else it.removeAttribute("aria-current");
    }
    try {
      await VIEWS[view](view === "records" ? argument : decodeURIComponent(argument), isCurrent);
      if (isCurrent()) document.body.dataset.shown = location.hash;
    } catch (error) {
      state("gone", error.message);
    }
  };

  const state = (kind, message) => {
    by("state").dataset.state = kind;
    by("state").textContent = message;
  };

  const refresh = async () => {
    try {
      const { status, changed } = await published.refresh();
      if (!status) return state("waiting", "nothing is published yet");
      const made = moment(Date.parse(status.last_index_update));
      state("live", `${count(status.total_entries)} results of ${count(status.total_drivers)} drivers · index of ${made}`);
      if (changed) await show();
    } catch (error) {
      state("gone", `the published files cannot be read: ${error.message}`);
    }
  };

  by("name").addEventListener("input", () => {
    history.replaceState(null, "", `#drivers=${encodeURIComponent(by("name").value)}`);
    show();
  });
  by("name").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") by("names").querySelector("a")?.focus();
  });
  by("names").addEventListener("keydown", (event) => {
    const item = document.activeElement.closest("li");
    const next = { ArrowDown: item?.nextElementSibling, ArrowUp: item?.previousElementSibling ?? by("drivers-view") }[event.key];
    if (!next) return;
    event.preventDefault();
    next.querySelector(next === by("drivers-view") ? "#name" : "a").focus();
  });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", show);
  addEventListener("visibilitychange", () => document.hidden || refresh());
  setInterval(refresh, 60_000);
  refresh();
})();
