// The run: every image the page shows, unpacked once. Images are known by their place in these arrays.

const NONE = 0xffff;
const content = JSON.parse(document.getElementById("content").textContent);

function unpack(text, Numbers) {
  if (text === null) return null;
  return new Numbers(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

const run = {
  name: content.run,
  before: content.before,
  count: content.images,
  all: content.all,
  rows: unpack(content.rows, Uint32Array),
  palette: content.palette,
  clusters: content.clusters,
  keys: content.keys,
  cluster: unpack(content.cluster, Uint16Array),
  confidence: Float32Array.from(unpack(content.confidence, Uint16Array), (share) => share / NONE),
  outlier: unpack(content.outlier, Uint8Array),
  copies: unpack(content.copies, Uint16Array),
  classes: content.classes,
  label: unpack(content.label, Uint16Array),
  place: Float32Array.from(unpack(content.place, Uint16Array), (part) => part / NONE),
  neighbours: unpack(content.neighbours, Uint16Array),
  perImage: content.perImage,
  vectors: unpack(content.vectors, Int8Array),
  axes: content.axes,
  words: content.words,
  sheets: content.sheets && { ...content.sheets, tile: unpack(content.sheets.tile, Uint16Array) },
};

const present = new Set(run.cluster);
const placeOfKey = new Map(run.keys.map((key, image) => [key, image]));

// Cards and the server name images by their row of the run, which is more than those shown in a large run.
const imagesByRow = run.rows && new Map(Array.from(run.rows, (row, image) => [row, image]));
const imageOfRow = (row) => (imagesByRow ? (imagesByRow.get(row) ?? null) : row);
const rowOf = (image) => (run.rows ? run.rows[image] : image);

const fileName = (image) => run.keys[image].slice(run.keys[image].lastIndexOf("/") + 1);
const labelOf = (image) => (run.label && run.label[image] !== NONE ? run.classes[run.label[image]] : "");
const vectorOf = (image) => run.vectors.subarray(image * run.axes, (image + 1) * run.axes);
const neighboursOf = (image) =>
  Array.from(run.neighbours.subarray(image * run.perImage, (image + 1) * run.perImage));
