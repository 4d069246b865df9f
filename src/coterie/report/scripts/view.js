// What the parts of the page share: elements, words, and what is selected and looked for.

const byId = (id) => document.getElementById(id);

// An element with properties and children; text is only ever set as text.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)}\u202f%`;
const thousands = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const images = (number) => (number === 1 ? "1 image" : `${thousands(number)} images`);

let quietening;

// Say something: shown for a while unless it can be seen elsewhere, and read aloud by screen readers.
function announce(words, { canUndo = false, shown = true } = {}) {
  byId("said").textContent = words;
  byId("said-undo").hidden = !canUndo;
  byId("toast").classList.toggle("shown", shown);
  clearTimeout(quietening);
  quietening = setTimeout(() => {
    byId("toast").classList.remove("shown");
    byId("said-undo").hidden = true;
  }, 8000);
}

// A button with an image's picture that opens it.
function pictureButton(image, ...further) {
  const title = `${run.keys[image]} · ${nameOf(groupOf[image])} · confidence ${percent(run.confidence[image])}`;
  const button = make("button", { type: "button", className: "pic", title, "aria-label": title }, picture(image), ...further);
  button.style.setProperty("--colour", colourOf(groupOf[image]));
  button.classList.toggle("outlier", run.outlier[image] === 1);
  const copies = run.copies ? run.copies[image] : 1;
  if (copies > 1) button.append(make("small", { className: "copies", title: `${copies} copies, see duplicates.csv` }, `×${copies}`));
  button.addEventListener("click", () => select(image));
  return button;
}

// The selected image, or null; parts of the page are told when it changes.
let selected = null;
const onSelect = [];

function select(image, { aloud = false } = {}) {
  selected = image;
  for (const listener of onSelect) listener();
  if (aloud && image !== null) announce(inWords(image), { shown: false });
}

function inWords(image) {
  const label = labelOf(image) ? `, labelled ${labelOf(image)}` : "";
  const odd = run.outlier[image] ? ", an outlier" : "";
  return `${fileName(image)}, ${nameOf(groupOf[image])}, confidence ${percent(run.confidence[image])}${odd}${label}`;
}

// What is looked for; every image matches while nothing is asked.
const wanted = { text: "", group: "", kind: "all", sort: "run" };
const onWanted = [];
let found = null; // Matching images, or null for all of them.

const KINDS = {
  all: () => true,
  outlier: (image) => run.outlier[image] === 1,
  doubtful: (image) => run.confidence[image] < 0.5,
  said: (image) => isSaid(image),
  gathered: (image) => gathered.has(image),
};
const ORDERS = {
  run: (one, other) => one - other,
  name: (one, other) => (fileName(one) < fileName(other) ? -1 : 1),
  sure: (one, other) => run.confidence[other] - run.confidence[one],
  doubtful: (one, other) => run.confidence[one] - run.confidence[other],
  gathered: (one, other) => (gathered.get(one) ?? run.count) - (gathered.get(other) ?? run.count),
};

function want(change) {
  Object.assign(wanted, change);
  lookAgain();
}

function lookAgain() {
  const text = wanted.text.trim().toLowerCase();
  const asked = text !== "" || wanted.group !== "" || wanted.kind !== "all";
  found = asked ? [] : null;
  for (let image = 0; asked && image < run.count; image++) {
    if (wanted.group !== "" && groupOf[image] !== Number(wanted.group)) continue;
    if (!KINDS[wanted.kind](image)) continue;
    if (text && !run.keys[image].toLowerCase().includes(text)) continue;
    found.push(image);
  }
  for (const listener of onWanted) listener();
}
