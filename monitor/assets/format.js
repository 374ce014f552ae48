// Formats amounts and times for people, and builds elements and tables from text. Text from programs never becomes markup.
"use strict";
window.R3E = {};
(() => {
  const UNITS = ["B", "KB", "MB", "GB", "TB"];

  // Bytes in units of 2^10, with three digits.
  const bytes = (amount) => {
    if (amount === null || amount === undefined) return "–";
    let unit = 0;
    let rest = Math.abs(amount);
    while (rest >= 999.5 && unit < UNITS.length - 1) {
      rest /= 1024;
      unit += 1;
    }
    const digits = unit > 0 && rest < 99.95 ? 1 : 0;
    return `${amount < 0 ? "−" : ""}${rest.toFixed(digits)} ${UNITS[unit]}`;
  };

  const count = (amount) => (amount === null || amount === undefined ? "–" : Math.round(amount).toLocaleString("en"));

  // A time that has passed, with its two largest units.
  const seconds = (amount) => {
    if (amount === null || amount === undefined || !Number.isFinite(amount)) return "–";
    if (amount < 9.95) return `${Math.max(amount, 0).toFixed(1)} s`;
    const whole = Math.round(amount);
    const [d, h, m, s] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
    if (d > 0) return `${d} d ${h} h`;
    if (h > 0) return `${h} h ${m} min`;
    return m > 0 ? `${m} min ${s} s` : `${s} s`;
  };

  const two = (number) => String(number).padStart(2, "0");
  const clock = (date, withSeconds) =>
    `${two(date.getHours())}:${two(date.getMinutes())}${withSeconds ? `:${two(date.getSeconds())}` : ""}`;
  const day = (date) => date.toLocaleDateString("en", { weekday: "short", day: "numeric", month: "short" });

  // A moment in local time, with its day where that is not today.
  const moment = (ms) => {
    if (!Number.isFinite(ms) || ms <= 0) return "never";
    const date = new Date(ms);
    const today = new Date().toDateString() === date.toDateString();
    return today ? clock(date, true) : `${day(date)} ${clock(date, false)}`;
  };

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((it) => it !== null && it !== undefined));
    return made;
  };

  // Fills a place with a table, or with a sentence if there is no row. Each cell knows its column's name, which a narrow
  // page shows beside it.
  const table = (place, columns, rows, none) => {
    if (!rows.length) {
      place.replaceChildren(element("p", {}, none));
      return;
    }
    const head = columns.map(([name, kind]) => element("th", { scope: "col", class: kind }, name));
    const body = rows.map((cells) => {
      const cell = (it, i) => {
        const [name, kind] = columns[i];
        const attributes = { class: kind, "data-label": name };
        if (i === 0) attributes.scope = "row";
        return element(i === 0 ? "th" : "td", attributes, element("div", {}, ...(Array.isArray(it) ? it : [it])));
      };
      return element("tr", {}, ...cells.map(cell));
    });
    place.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  };

  Object.assign(R3E, { bytes, count, seconds, moment, clock, day, element, table });
})();
