// The published files, as FORMATS names them: read once, and again when the index has changed.
"use strict";
(() => {
  const files = new Map();

  const read = async (path) => {
    const response = await fetch(path, { cache: "no-cache" });
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`${path}: the server answers ${response.status}`);
    if (!path.endsWith(".gz")) return response.json();
    return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).json();
  };

  // What is in a file, or null if there is none.
  const file = (path) => {
    if (!files.has(path)) {
      const content = read(path);
      files.set(path, content);
      // A failure is not kept: the next one who asks tries again.
      content.catch(() => files.delete(path));
    }
    return files.get(path);
  };

  let version;
  // Reads the status; true if the index is another one than before.
  const refresh = async () => {
    const status = await read("cache/status.json");
    const changed = status?.last_index_update !== version;
    version = status?.last_index_update;
    if (changed) files.clear();
    return { status, changed };
  };

  const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ð: "d", đ: "d", þ: "th", ł: "l", ħ: "h", ı: "i" };
  // A name without case, accents and surplus blanks.
  const folded = (name) =>
    name
      .normalize("NFD")
      .replace(/[\u0300-\u036f]/g, "")
      .toLowerCase()
      .replace(/[’ʻʼ]/g, "'")
      .replace(/[ßæœøðđþłħı]/g, (it) => LETTERS[it])
      .trim()
      .replace(/\s+/g, " ");

  // The key of a name in the index, and the file that has it. FORMATS: certain letters lose their accents, others stay.
  const PLAIN = {
    a: "àáâãäåæ", c: "ç", d: "ďđð", e: "èéêë", i: "ìíîï", n: "ñ", o: "òóôõöøœ", s: "š", t: "ťþ", u: "ùúûü", y: "ýÿ", z: "ž",
  };
  const plain = new Map(Object.entries(PLAIN).flatMap(([letter, forms]) => [...forms].map((it) => [it, letter])));
  const key = (name) => {
    // One by one: in a word, toLowerCase turns Σ into ς, and İ into two characters.
    const letter = (it) => (it === "İ" ? "i" : it === "Ÿ" ? "ÿ" : (plain.get(it.toLowerCase()) ?? it.toLowerCase()));
    return [...name].map(letter).join("").replace(/[\t\n\f\r ]+/g, " ").trim();
  };
  const shard = (key) => (/^[a-z]/.test(key) ? key[0] : "_");

  let mirror = [];
  let names = [];
  // The drivers whose names have that part, those whose names begin with it first: as [key, name] in lower case.
  const search = async (part) => {
    const forms = (await file("cache/index/mirror.json.gz")) ?? [];
    if (forms !== mirror) {
      // The mirror has the key of a name, and the name itself if it has accents.
      const byKey = new Map();
      for (const form of forms) byKey.set(key(form), key(form) === form ? (byKey.get(form) ?? form) : form);
      names = [...byKey].map(([key, name]) => ({ key, name, folded: folded(name) }));
      mirror = forms;
    }
    const wanted = folded(part);
    const found = names.filter((it) => it.folded.includes(wanted));
    return found.sort((a, b) => b.folded.startsWith(wanted) - a.folded.startsWith(wanted));
  };

  // The results and the identities of a name.
  const driver = async (name) => {
    const id = key(name);
    const read = (kind) => file(`cache/index/${kind}/${shard(id)}.json.gz`);
    const found = await Promise.all(["entries", "metadata"].map(read));
    const [results, identities] = found.map((it) => (it && Object.hasOwn(it, id) ? it[id] : []));
    return { results, identities };
  };

  const boards = async () => (await file("cache/all_combinations.json.gz"))?.results ?? [];
  const board = (track, car_class) => file(`cache/tracks/track_${track}/class_${car_class}.json.gz`);
  const statistics = () => file("cache/stats/index.json");

  Object.assign(R3E, { published: { refresh, search, driver, boards, board, statistics, file } });
})();
