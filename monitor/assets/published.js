// Reads the published files (section Files of the README), each when it is first needed and again after the index has changed. The
// search for drivers is `search`.
"use strict";
(() => {
  // A large shard takes some ten megabytes once it is parsed.
  const MAX_FILES = 12;
  // The least recently used first.
  const files = new Map();

  const read = async (path) => {
    const response = await fetch(path, { cache: "no-cache" });
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`${path}: the server answers ${response.status}`);
    if (!path.endsWith(".gz")) return response.json();
    return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).json();
  };

  const file = (path) => {
    const content = files.get(path) ?? read(path);
    files.delete(path);
    files.set(path, content);
    if (files.size > MAX_FILES) files.delete(files.keys().next().value);
    // A failure is not kept: the next one who asks tries again.
    content.catch(() => files.get(path) === content && files.delete(path));
    return content;
  };

  // A file that is always published for today's front ends.
  const published = async (path) => {
    const content = await file(path);
    if (content === null) throw new Error(`${path} is not published. This page needs index.formats to include 2026-04.`);
    return content;
  };

  let version;
  // Reads the status. `made` is the time of the index, or null if there is none yet.
  const refresh = async () => {
    const status = await read("cache/status.json");
    const time = Date.parse(status?.last_index_update);
    const made = time > 0 ? time : null;
    const changed = version !== (status?.last_index_update ?? null);
    version = status?.last_index_update ?? null;
    if (changed) files.clear();
    return { status, made, changed };
  };

  const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ð: "d", đ: "d", þ: "th", ł: "l", ħ: "h", ı: "i", ς: "σ", "’": "'", "ʻ": "'", "ʼ": "'" };
  const letters = new RegExp(`[${Object.keys(LETTERS).join("")}]`, "g");
  // Accents, and the vowel signs of Hebrew and Arabic.
  const MARKS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]/g;
  // A name without case, marks, full-width forms and surplus blanks.
  const folded = (name) =>
    name
      .normalize("NFKD")
      .replace(MARKS, "")
      .toLowerCase()
      .replace(letters, (it) => LETTERS[it])
      .trim()
      .replace(/\s+/g, " ");

  // FORMATS: the key of a name loses these accents only.
  const ACCENTS = {
    A: "ÀÁÂÃÄÅÆ", C: "Ç", D: "ÐĎĐ", E: "ÈÉÊË", I: "ÌÍÎÏ", N: "Ñ", O: "ÒÓÔÕÖØŒ", S: "Š", T: "ŤÞ", U: "ÙÚÛÜ", Y: "Ý", Z: "Ž",
  };
  const plain = new Map([["ÿ", "y"], ["İ", "i"]]);
  for (const [letter, forms] of Object.entries(ACCENTS)) {
    for (const form of forms + forms.toLowerCase()) plain.set(form, letter.toLowerCase());
  }
  // Letter by letter, since toLowerCase makes ς of the last Σ of a word.
  const key = (name) =>
    [...name].map((it) => plain.get(it) ?? it.toLowerCase()).join("").replace(/[\t\n\f\r ]+/g, " ").trim();
  const shard = (key) => (/^[a-z]/.test(key) ? key[0] : "_");

  let mirror = null;
  let names = [];
  // The drivers whose names have all these parts. First those whose names begin with it, then those with a word that does.
  const search = async (part) => {
    const forms = await published("cache/index/mirror.json.gz");
    if (forms !== mirror) {
      // The mirror has the key of a name, and the name in lower case if that has accents.
      const byKey = new Map();
      for (const form of forms) {
        const id = key(form);
        if (id !== form || !byKey.has(id)) byKey.set(id, form);
      }
      names = [...byKey].map(([key, name]) => ({ key, name, folded: ` ${folded(name)}` }));
      mirror = forms;
    }
    const wanted = folded(part);
    const parts = wanted.split(" ");
    const found = names.filter((it) => parts.every((part) => it.folded.includes(part)));
    const rank = (it) => [it.folded.startsWith(` ${wanted}`), it.folded.includes(` ${wanted}`), true].indexOf(true);
    return found.map((it) => [rank(it), it]).sort((a, b) => a[0] - b[0]).map(([, it]) => it);
  };

  // The results under a name, and who has that name.
  const driver = async (name) => {
    const id = key(name);
    const read = (kind) => published(`cache/index/${kind}/${shard(id)}.json.gz`);
    const found = await Promise.all(["entries", "metadata"].map(read));
    const [results, identities] = found.map((it) => (Object.hasOwn(it, id) ? it[id] : []));
    return { results, identities };
  };

  const boards = async () => (await published("cache/all_combinations.json.gz")).results;
  const board = (track, car_class) => file(`cache/tracks/track_${track}/class_${car_class}.json.gz`);
  // Each new best lap of a board. The archive has none of a board that it knows in one version. Not kept, since the archive is
  // written after the index.
  const records = async (track, car_class) => {
    const path = `cache/archive/${track}-${car_class}.json`;
    const content = await read(path);
    if (content === null) return [];
    if (!Array.isArray(content.records)) throw new Error(`${path} has no list of records`);
    return content.records.filter((it) => Number.isFinite(it?.laptime_ms) && Date.parse(it.observed_at) > 0);
  };
  const statistics = () => published("cache/stats/index.json");

  Object.assign(R3E, { published: { refresh, search, driver, boards, board, records, statistics, file: published } });
})();
