// A person's work on the clusters: names, merges, "mixed" marks, moved images and parts. Groups are clusters and what
// they were merged into; further groups, made for moved images and for parts, are numbered after the clusters.

// `moved` is where a person put an image itself, `parted` where a split put it, which comes first; `parts` are groups
// without a name, each with the group it is a part of.
const fresh = () => ({ names: {}, into: {}, mixed: {}, moved: {}, parts: {}, parted: {}, made: 0 });

let work = fresh();
const past = []; // What can be undone: { state, words }, the newest last.
const onChange = []; // Called after every change.
let groupOf = new Uint16Array(run.count); // Of each image.
let members = new Map(); // Group → images, of groups that have any.

function settle() {
  members = new Map(allGroups().map((group) => [group, []]));
  for (let image = 0; image < run.count; image++) {
    groupOf[image] = placeOf(image, run.cluster[image]);
    members.get(groupOf[image]).push(image);
  }
  for (const [group, own] of members) if (!own.length) members.delete(group);
}

const placeOf = (image, cluster) => rootOf(work.parted[image] ?? work.moved[image] ?? cluster);

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

// What a group is a part of, which is itself where it is none; the parts of a group; and which of them it is, or 0.
const wholeOf = (group) => (group in work.parts ? wholeOf(rootOf(work.parts[group])) : group);
const partsOf = (whole) => Object.keys(work.parts).map(Number).filter((part) => wholeOf(part) === whole);
const numberOf = (group) => {
  const parts = group in work.parts ? partsOf(wholeOf(group)) : [];
  return parts.length > 1 ? parts.indexOf(group) + 1 : 0; // The only part that is left is the whole.
};
const clusterName = (group) => `Group ${group}`;
const partName = (name, number) => (number ? `${name}, part ${number}` : name);
const usualName = (group) =>
  group in work.parts ? partName(nameOf(wholeOf(group)), numberOf(group)) : clusterName(group);
const nameOf = (group) => work.names[group] ?? usualName(group);
const isNamed = (group) => group in work.names;
const isMixed = (group) => work.mixed[group] === true;
const isSaid = (image) => image in work.moved;
const isAway = (image) => groupOf[image] !== rootOf(run.cluster[image]);
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
  if (name === usualName(group)) {
    delete state.names[group];
  } else {
    state.names[group] = name;
    delete state.parts[group];
  }
}

// Returns the group that is left: what others are a part of stays, and its part goes.
function merge(group, target) {
  if (group === target) return target;
  if (wholeOf(target) === group) return merge(target, group);
  change(`Merged ${nameOf(group)} into ${nameOf(target)}`, (state) => {
    state.into[group] = target;
    delete state.mixed[group];
    delete state.parts[group];
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
  state.names[group] = name;
  return group;
}

function setMoved(state, image, group) {
  state.moved[image] = group;
  delete state.parted[image];
}

// Make groups of the parts of a group, lists of its images; a part that is split gives way to its own parts. Returns
// the first of them.
function splitInto(group, parts) {
  const first = run.clusters + work.made;
  change(`Split ${nameOf(group)} into ${parts.length}`, (state) => {
    const whole = wholeOf(group);
    for (const part of parts) {
      const made = run.clusters + state.made++;
      state.parts[made] = whole;
      for (const image of part) state.parted[image] = made;
    }
    if (whole === group) return;
    state.into[group] = first;
    delete state.parts[group];
  });
  return first;
}

function startOver() {
  change("Started over", () => (work = begun()));
}
