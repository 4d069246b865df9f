// Where a person's work is kept: in this browser or, where `coterie open` serves the page, in the run itself.

const served = document.querySelector("meta[name=coterie-open]") !== null;
const NOTHING = { label: "", mixed: 0, said: 0, split: 0, part: 0 };
let stood = { version: null, rows: new Map() }; // What the run held when it was last read or written.
let unsaved = false;
let saving = null;

const rowsNow = () => new Map(sayings().entries());

// Ask the server that the page came from; throws an Error a person can read.
async function ask(what, body) {
  const sent = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(what, body === undefined ? {} : sent);
  } catch {
    throw new Error("`coterie open` has ended: start it again");
  }
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

// What was said when the page was made, as the run had it in its labels.csv.
function begun() {
  if (content.said === null) return fresh();
  const [label, mixed, said, split, part] = ["label", "mixed", "said", "split", "part"].map((name) =>
    unpack(content.said[name], Uint16Array),
  );
  const row = (image) => ({
    label: label[image] === NONE ? "" : content.said.labels[label[image]],
    mixed: mixed[image],
    said: said[image],
    split: split[image],
    part: part[image],
  });
  return workOf(new Map(run.keys.map((_, image) => [image, row(image)])));
}

function keep() {
  if (served) {
    unsaved = true;
    saving ??= save().finally(() => (saving = null));
    return;
  }
  const kept = { work, said: content.said?.name ?? null, cluster: content.cluster, rows: content.rows };
  try {
    localStorage.setItem(`coterie:${run.name}`, JSON.stringify(kept));
  } catch {
    // No storage, as in a private window: the download still holds the work.
  }
}

function stored(name) {
  try {
    const found = JSON.parse(localStorage.getItem(`coterie:${name}`));
    // Pages of older versions kept the work alone.
    return found && { said: null, ...found, work: { ...fresh(), ...(found.work ?? found) } };
  } catch {
    return null;
  }
}

// Take up the work where it was left; returns what a person should know of that.
function takeUp() {
  work = begun();
  const [own, older] = served ? [null, null] : [stored(run.name), run.before && stored(run.before)];
  if (own && own.said === (content.said?.name ?? null)) {
    work = own.work;
  } else if (own) {
    const mine = saidIn(own);
    work = workOf(merged(new Map(), mine, rowsNow()).rows);
  } else if (older?.cluster) {
    work = carried(saidIn(older));
    return "What you said on the older page was taken over";
  }
  return JSON.stringify(work) === JSON.stringify(begun()) ? "" : "Your work on this page was kept";
}

// The rows of work that was kept, perhaps by the page of another run of these images.
function saidIn(kept) {
  const { cluster, rows: shown } = { ...content, ...kept };
  const [now, older] = [work, unpack(shown, Uint32Array)];
  work = kept.work;
  const rows = sayings(unpack(cluster, Uint16Array));
  work = now;
  const found = rows.map((row, place) => [imageOfRow(older ? older[place] : place), row]);
  const telling = (row) => row.said || row.split || row.mixed || hasName(row);
  return new Map(found.filter(([image, row]) => image !== null && telling(row)));
}

const hasName = ({ label }) => label !== "" && !/^Group \d+$/.test(label);

// What was said of images on an older page holds; names of groups go to groups without a name that mostly had it.
function carried(everything) {
  const older = new Map([...everything].filter(([, row]) => hasName(row)));
  const rows = rowsNow();
  const taken = new Set(Object.values(work.names));
  const usual = commonest(older);
  for (const [image, row] of rows) {
    const said = older.get(image);
    const name = usual.get(run.cluster[image]);
    if (said?.said && !row.said) rows.set(image, { ...said, split: 0, part: 0 });
    else if (name && !taken.has(name) && row.label === clusterName(run.cluster[image])) row.label = name;
  }
  return workOf(rows);
}

// One table out of two that both began as `base`, image by image: what either changed holds. Where both changed a
// label, what was said of the image itself holds, and else `mine`; `contested` counts images that both named themselves.
function merged(base, mine, theirs) {
  const rows = new Map(theirs);
  let contested = 0;
  for (const [image, row] of mine) {
    const was = base.get(image) ?? NOTHING;
    const other = theirs.get(image) ?? was;
    const differ = (one, two, names) => names.some((name) => one[name] !== two[name]);
    const pick = (names, lost = false) => {
      const from = !differ(row, was, names) || lost ? other : row;
      return Object.fromEntries(names.map((name) => [name, from[name]]));
    };
    const naming = ["label", "said"];
    const both = differ(row, was, naming) && differ(other, was, naming);
    if (both && row.said && other.said && row.label !== other.label) contested++;
    rows.set(image, { ...pick(naming, both && other.said > row.said), ...pick(["split", "part"]), ...pick(["mixed"]) });
  }
  return { rows, contested };
}

// --- in the run ---

// The run's own table comes first; what was done on the page meanwhile is merged into it.
async function readRun() {
  const { version, text } = await ask("labels");
  if (version === stood.version) return;
  takeOther(version, text);
}

function takeOther(version, text) {
  const theirs = text === null ? stood.rows : fromTable(text);
  const { rows, contested } = merged(stood.rows, rowsNow(), theirs);
  stood = { version, rows: theirs };
  work = workOf(rows);
  past.length = 0; // A step back would take back the other window's work as well.
  settle();
  for (const listener of onChange) listener();
  return contested;
}

async function save() {
  while (unsaved) {
    unsaved = false;
    const rows = rowsNow();
    try {
      const { saved, version, text } = await ask("labels", { version: stood.version, text: toTable() });
      if (saved) {
        stood = { version, rows };
        continue;
      }
      unsaved = true;
      const contested = takeOther(version, text);
      announce(`Work from another window was taken in${contested ? `; ${images(contested)} had two names: yours holds` : ""}`);
    } catch (error) {
      unsaved = true;
      announce(`Not saved: ${error.message}`);
      return;
    }
  }
}

async function beginServed() {
  stood = { version: null, rows: rowsNow() };
  try {
    await readRun();
  } catch (error) {
    announce(error.message);
  }
}

if (served) {
  window.addEventListener("focus", () => {
    if (unsaved) keep();
    else if (!saving) readRun().catch((error) => announce(error.message));
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved || saving) event.preventDefault();
  });
}
