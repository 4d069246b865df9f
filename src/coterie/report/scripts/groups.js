// A person's work on the clusters: names, merges, "mixed" marks and moved images. Groups are clusters and what they
// were merged into; further groups, made for moved images, are numbered after the clusters.

const fresh = () => ({ names: {}, into: {}, mixed: {}, moved: {}, made: 0 });
const storageName = `coterie:${run.name}`;

let work = restored();
const past = []; // What can be undone: { state, words }, the newest last.
const onChange = []; // Called after every change.
let groupOf = new Uint16Array(run.count); // Of each image.
let members = new Map(); // Group → images.

function restored() {
  try {
    const kept = JSON.parse(localStorage.getItem(storageName));
    if (kept && Object.keys(fresh()).every((part) => part in kept)) return kept;
  } catch {
    // No storage, as in a private window, or nothing that can be read in it.
  }
  return fresh();
}

function keep() {
  try {
    localStorage.setItem(storageName, JSON.stringify(work));
  } catch {
    // The download still holds the work.
  }
}

function settle() {
  members = new Map(allGroups().map((group) => [group, []]));
  for (let image = 0; image < run.count; image++) {
    groupOf[image] = rootOf(work.moved[image] ?? run.cluster[image]);
    members.get(groupOf[image]).push(image);
  }
}

// Do something that can be undone; `words` say what was done.
function change(words, alter) {
  const state = JSON.stringify(work);
  alter(work);
  if (JSON.stringify(work) === state) return;
  past.push({ state, words });
  changed();
  announce(words, { canUndo: true });
}

function changed() {
  settle();
  keep();
  for (const listener of onChange) listener();
}

function undo() {
  const last = past.pop();
  if (!last) return;
  work = JSON.parse(last.state);
  changed();
  announce(`Undone: ${last.words}`);
}

function rootOf(group) {
  while (group in work.into) group = Number(work.into[group]);
  return group;
}

function allGroups() {
  const clusters = [...present].sort((one, other) => one - other);
  const made = Array.from({ length: work.made }, (_, number) => run.clusters + number);
  return [...clusters, ...made].filter((group) => !(group in work.into));
}

const usualName = (group) => `Group ${group}`;
const nameOf = (group) => work.names[group] ?? usualName(group);
const isNamed = (group) => group in work.names;
const isMixed = (group) => work.mixed[group] === true;
const isMoved = (image) => image in work.moved;
const colourOf = (group) => run.palette[group % run.palette.length];
const absorbedBy = (group) => [...present].filter((other) => other !== group && rootOf(other) === group);
const UNSEEN = /[\u200b\u2060\ufeff\u00ad\u200e\u200f]/g;
const tidy = (name) => name.normalize("NFC").replace(UNSEEN, "").replace(/\s+/g, " ").trim();

function groupNamed(name) {
  return allGroups().find((group) => nameOf(group) === tidy(name)) ?? null;
}

// A name two groups share makes them one. Returns the group that has the name now.
function rename(group, given) {
  const name = tidy(given) || usualName(group);
  const other = groupNamed(name);
  if (other !== null && other !== group) return merge(group, other);
  change(`${nameOf(group)} is now ${name}`, (state) => setName(state, group, name));
  return group;
}

function setName(state, group, name) {
  if (name === usualName(group)) delete state.names[group];
  else state.names[group] = name;
}

function merge(group, target) {
  if (group === target) return target;
  change(`Merged ${nameOf(group)} into ${nameOf(target)}`, (state) => {
    state.into[group] = target;
    delete state.mixed[group];
  });
  return target;
}

function splitOff(group) {
  change(`Split off ${usualName(group)}`, (state) => {
    delete state.into[group];
    const taken = allGroups().some((other) => other !== group && nameOf(other) === nameOf(group));
    if (taken) state.names[group] = freeName(usualName(group));
  });
}

function freeName(name) {
  let number = 2;
  while (groupNamed(`${name} (${number})`) !== null) number++;
  return `${name} (${number})`;
}

function markMixed(group, mixed) {
  change(`${nameOf(group)} is ${mixed ? "" : "no longer "}marked as mixed`, (state) => {
    if (mixed) state.mixed[group] = true;
    else delete state.mixed[group];
  });
}

// Move images to the group of that name, which is made if there is none.
function moveTo(images, given) {
  const name = tidy(given);
  if (!name || !images.length) return;
  const what = images.length === 1 ? fileName(images[0]) : `${images.length} images`;
  const known = groupNamed(name);
  change(`Moved ${what} to ${name}`, (state) => {
    const group = known ?? newGroup(state, name);
    for (const image of images) setMoved(state, image, group);
  });
}

function newGroup(state, name) {
  const group = run.clusters + state.made++;
  setName(state, group, name);
  return group;
}

function setMoved(state, image, group) {
  if (rootOf(run.cluster[image]) === group) delete state.moved[image];
  else state.moved[image] = group;
}

function startOver() {
  change("Started over", () => (work = fresh()));
}
