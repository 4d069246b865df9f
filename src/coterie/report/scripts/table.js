// labels.csv: a line an image with key, label, mixed and the model's cluster. `coterie apply` reads it.

const COLUMNS = ["key", "label", "mixed", "cluster"];
// What a spreadsheet would take for a formula gets an apostrophe, which reading takes off again: at the beginning, and
// after whatever parts cells or rows in the spreadsheets of some countries.
const FORMULA = /^'*[=+\-@\t\r]/;
const guarded = (text) =>
  (FORMULA.test(text) ? "'" : "") + text.replace(/([;\t\r\n])(?='*[=+\-@\t\r])/g, "$1'");
const unguarded = (text) =>
  (text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text).replace(/([;\t\r\n])'(?='*[=+\-@\t\r])/g, "$1");
const quoted = (text) => (/[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function toTable() {
  const lines = [COLUMNS.join(",")];
  for (let image = 0; image < run.count; image++) {
    const group = groupOf[image];
    const cells = [run.keys[image], nameOf(group)].map((text) => quoted(guarded(text)));
    lines.push([...cells, isMixed(group) ? 1 : 0, run.cluster[image]].join(","));
  }
  return lines.join("\n") + "\n";
}

// Take a labels.csv for the work; throws an Error a person can read.
function fromTable(text) {
  const { heading, rows } = rowsOf(text, ["key", "label"]);
  const cell = (cells, name) => unguarded(cells[heading.indexOf(name)] ?? "");
  const image = matched(rows.map((cells) => cell(cells, "key")), run.keys);
  const labels = new Map();
  const mixed = new Set();
  for (const cells of rows) {
    const key = cell(cells, "key");
    const at = placeOfKey.get(image.get(key));
    if (at === undefined) throw new Error(`“${key}” is no image of this page`);
    if (labels.has(at)) throw new Error(`“${key}” occurs more than once`);
    const label = tidy(cell(cells, "label"));
    if (label) labels.set(at, label);
    if (Number(cell(cells, "mixed").replace(",", ".")) === 1) mixed.add(label);
  }
  const found = workOf(labels, mixed);
  change("Loaded labels", () => (work = found));
}

// The names, merges and moves that give every image its label.
function workOf(labels, mixed) {
  const state = fresh();
  const owner = new Map(); // Name → group.
  const own = new Map(); // Cluster → the name most of its images have.
  const clusters = [...present].sort((one, other) => one - other);
  for (const cluster of clusters) own.set(cluster, commonest(labels, cluster) ?? usualName(cluster));
  // A cluster that kept its number goes first, so that others are merged into it and not the other way round.
  const rank = (cluster) => (own.get(cluster) === usualName(cluster) ? 0 : 1);
  for (const cluster of clusters.sort((one, other) => rank(one) - rank(other) || one - other)) {
    const name = own.get(cluster);
    if (owner.has(name)) state.into[cluster] = owner.get(name);
    else setName(state, cluster, name);
    if (!owner.has(name)) owner.set(name, cluster);
  }
  for (const [image, label] of labels) {
    if (label === own.get(run.cluster[image])) continue;
    if (!owner.has(label)) owner.set(label, newGroup(state, label));
    state.moved[image] = owner.get(label);
  }
  for (const label of mixed) if (owner.has(label)) state.mixed[owner.get(label)] = true;
  return state;
}

function commonest(labels, cluster) {
  const counts = new Map();
  for (const [image, label] of labels) {
    if (run.cluster[image] === cluster) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0] ?? null;
}

function download(name, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
