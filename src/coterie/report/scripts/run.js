// The run: every image the page shows, unpacked once. Images are known by their place in these arrays.

const NONE = 0xffff;
const content = JSON.parse(document.getElementById("content").textContent);

function unpack(text, Numbers) {
  if (text === null) return null;
  return new Numbers(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

const run = {
  name: content.run,
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
  words: content.words,
  sheets: content.sheets && { ...content.sheets, tile: unpack(content.sheets.tile, Uint16Array) },
};

const present = new Set(run.cluster);
const placeOfKey = new Map(run.keys.map((key, image) => [key, image]));

// Cards name images by their row of the run, which is more than those shown in a large run.
function imageOfRow(row) {
  if (run.rows === null) return row;
  const image = run.rows.indexOf(row);
  return image < 0 ? null : image;
}

const fileName = (image) => run.keys[image].slice(run.keys[image].lastIndexOf("/") + 1);
const labelOf = (image) => (run.label && run.label[image] !== NONE ? run.classes[run.label[image]] : "");
const neighboursOf = (image) =>
  Array.from(run.neighbours.subarray(image * run.perImage, (image + 1) * run.perImage));
