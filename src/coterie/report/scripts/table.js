// labels.csv, a line an image, which `coterie apply` and `coterie refine` read; and what it says as rows of the page:
// { label, mixed, said, split, part }, of which `label` is the name of the whole group where it is split into parts.

const COLUMNS = ["key", "label", "mixed", "cluster", "said", "split", "part"];
// What a spreadsheet would take for a formula gets an apostrophe, which reading takes off again: at the beginning, and
// after whatever parts cells or rows in the spreadsheets of some countries.
const FORMULA = /^'*[=+\-@\t\r]/;
const guarded = (text) =>
  (FORMULA.test(text) ? "'" : "") + text.replace(/([;\t\r\n])(?='*[=+\-@\t\r])/g, "$1'");
const unguarded = (text) =>
  (text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text).replace(/([;\t\r\n])'(?='*[=+\-@\t\r])/g, "$1");
const quoted = (text) => (/[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// What the present work says of every image, in these clusters.
function sayings(cluster = run.cluster) {
  const known = new Map(); // Group → what its images share.
  const shared = (group) => {
    const whole = wholeOf(group);
    const parts = partsOf(whole).length;
    const mixed = isMixed(group) ? 1 : 0;
    return { label: nameOf(whole), mixed, split: parts > 1 ? parts : 0, part: numberOf(group), whole };
  };
  return Array.from(cluster, (own, image) => {
    const group = placeOf(image, own);
    if (!known.has(group)) known.set(group, shared(group));
    const { whole, ...row } = known.get(group);
    // An image that was named stays so where its group was split, not where it went with a part that got another name.
    return { ...row, said: isSaid(image) && wholeOf(rootOf(work.moved[image])) === whole ? 1 : 0 };
  });
}

function toTable() {
  const lines = sayings().map((row, image) => {
    const texts = [run.keys[image], row.label].map((text) => quoted(guarded(text)));
    return [...texts, row.mixed, run.cluster[image], row.said, row.split || "", row.part || ""].join(",");
  });
  return [COLUMNS.join(","), ...lines, ""].join("\n");
}

// The rows of a labels.csv by image; throws an Error a person can read. A page that shows some images of a large run
// passes over the others. `said` is null where the table does not tell: then those were named that differ from their group.
function fromTable(text) {
  const { heading, rows } = rowsOf(text, ["key", "label"]);
  const cell = (cells, name) => unguarded(cells[heading.indexOf(name)] ?? "");
  const count = (cells, name) => Number(cell(cells, name).replace(",", ".")) || 0;
  const image = matched(rows.map((cells) => cell(cells, "key")), run.keys);
  const found = new Map();
  for (const cells of rows) {
    const key = cell(cells, "key");
    const at = placeOfKey.get(image.get(key));
    if (at === undefined && run.rows !== null) continue;
    if (at === undefined) throw new Error(`“${key}” is no image of this page`);
    if (found.has(at)) throw new Error(`“${key}” occurs more than once`);
    const label = tidy(cell(cells, "label"));
    const said = heading.includes("said") ? count(cells, "said") : heading.includes("cluster") ? null : Number(label !== "");
    const split = count(cells, "split");
    const part = split > 1 ? Math.min(split, count(cells, "part")) : 0;
    found.set(at, { label, mixed: count(cells, "mixed"), said, split, part });
  }
  return found;
}

// The names, merges, moves and parts that give every image what its row says.
function workOf(rows) {
  const state = fresh();
  const owner = new Map(); // Name, as of a part → group.
  const own = new Map(); // Cluster → the name most of its images have.
  const clusters = [...present].sort((one, other) => one - other);
  const usual = commonest(rows);
  for (const cluster of clusters) own.set(cluster, usual.get(cluster) ?? clusterName(cluster));
  // A cluster that kept its number goes first, so that others are merged into it and not the other way round.
  const rank = (cluster) => (own.get(cluster) === clusterName(cluster) ? 0 : 1);
  for (const cluster of clusters.sort((one, other) => rank(one) - rank(other) || one - other)) {
    const name = own.get(cluster);
    if (owner.has(name)) state.into[cluster] = owner.get(name);
    else if (name !== clusterName(cluster)) state.names[cluster] = name;
    if (!owner.has(name)) owner.set(name, cluster);
  }
  const ownerOf = (name) => {
    if (!owner.has(name)) owner.set(name, newGroup(state, name));
    return owner.get(name);
  };
  for (const [image, { label, said }] of rows) {
    if (!label) continue;
    const away = label !== own.get(run.cluster[image]);
    if (said ?? away) state.moved[image] = ownerOf(label);
    else if (away) state.parted[image] = ownerOf(label);
  }
  for (const [image, { label, part }] of [...rows].sort(([, one], [, other]) => one.part - other.part)) {
    if (!label || !part) continue;
    const name = partName(label, part);
    if (!owner.has(name)) {
      const made = run.clusters + state.made++;
      state.parts[made] = owner.get(label);
      owner.set(name, made);
    }
    state.parted[image] = owner.get(name);
  }
  for (const { label, part, mixed } of rows.values()) {
    const group = owner.get(partName(label, part));
    if (mixed === 1 && group !== undefined) state.mixed[group] = true;
  }
  return state;
}

// Of each cluster whose images have labels, the one most have.
function commonest(rows) {
  const counts = new Map();
  for (const [image, { label }] of rows) {
    if (!label) continue;
    if (!counts.has(run.cluster[image])) counts.set(run.cluster[image], new Map());
    const labels = counts.get(run.cluster[image]);
    labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  const most = (labels) => [...labels].sort((one, other) => other[1] - one[1])[0][0];
  return new Map([...counts].map(([cluster, labels]) => [cluster, most(labels)]));
}

function download(name, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
