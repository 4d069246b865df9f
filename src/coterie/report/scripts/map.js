// The map: a point an image, or its picture where there is room.

const MOST_PICTURES = 260; // As many are seen side by side; beyond, points.
const canvas = byId("map");
const pen = canvas.getContext("2d");
const hint = byId("hint");
let hovered = null;
let awaiting = false;

function drawSoon() {
  if (awaiting) return;
  awaiting = true;
  requestAnimationFrame(() => {
    awaiting = false;
    draw();
  });
}

const COLOURS = {
  group: (image) => colourOf(groupOf[image]),
  label: (image) => (run.label[image] === NONE ? "#80868f" : run.palette[run.label[image] % run.palette.length]),
  confidence: (image) => `hsl(${Math.round(12 * run.confidence[image]) * 17 + 5} 70% 48%)`,
};

function draw() {
  const density = window.devicePixelRatio || 1;
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, view.width, view.height);
  const seen = inSight();
  const inPictures = run.sheets !== null && seen.length <= MOST_PICTURES;
  const side = Math.min(64, Math.max(22, Math.sqrt((view.width * view.height) / seen.length) * 0.6));
  const colour = COLOURS[byId("map-colour").value];
  const sought = found && new Set(found);
  drawLines();
  if (inPictures) for (const image of seen) drawTile(image, side, colour(image), !sought || sought.has(image));
  else drawPoints(seen, colour, sought);
  for (const image of [selected, hovered]) if (image !== null) drawMarked(image, inPictures ? side : 30, colour(image));
  drawNames();
  drawLasso();
}

// All points of a colour at once, which is what makes ten thousand smooth; those not looked for first and faint.
function drawPoints(seen, colour, sought) {
  const radius = Math.min(6, Math.max(1.8, 105 / Math.sqrt(seen.length))) + Math.min(1.5, view.scale / view.fitted / 8);
  for (const wantedNow of [false, true]) {
    const paths = new Map();
    for (const image of seen) {
      if ((!sought || sought.has(image)) !== wantedNow) continue;
      const shade = colour(image);
      if (!paths.has(shade)) paths.set(shade, new Path2D());
      const path = paths.get(shade);
      const [x, y] = [across(image), down(image)];
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 7);
    }
    pen.globalAlpha = wantedNow ? 0.75 : 0.12;
    for (const [shade, path] of paths) {
      pen.fillStyle = shade;
      pen.fill(path);
    }
  }
  pen.globalAlpha = 1;
}

function drawTile(image, side, colour, wantedNow) {
  const [x, y] = [across(image) - side / 2, down(image) - side / 2];
  pen.globalAlpha = wantedNow ? 1 : 0.15;
  pen.fillStyle = colour;
  pen.fillRect(x - 2, y - 2, side + 4, side + 4);
  pen.imageSmoothingEnabled = !document.body.classList.contains("pixel-art");
  drawPicture(pen, image, x, y, side);
  pen.globalAlpha = 1;
}

function drawMarked(image, side, colour) {
  drawTile(image, side, colour, true);
  pen.lineWidth = image === selected ? 3 : 1.5;
  pen.strokeStyle = ink();
  pen.strokeRect(across(image) - side / 2 - 3, down(image) - side / 2 - 3, side + 6, side + 6);
}

// From the selected image to its nearest neighbours.
function drawLines() {
  if (selected === null) return;
  pen.strokeStyle = ink();
  pen.globalAlpha = 0.5;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const other of neighboursOf(selected)) {
    pen.moveTo(across(selected), down(selected));
    pen.lineTo(across(other), down(other));
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

function drawNames() {
  if (byId("map-colour").value !== "group" || members.size > 60) return;
  pen.font = '600 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif';
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  const wanted = [...members].filter(([, own]) => own.length).map(([group, own]) => {
    const [x, y] = middleOf(own);
    return { name: nameOf(group), x, y, half: pen.measureText(nameOf(group)).width / 2 };
  });
  for (const { name, x, y } of apart(wanted)) {
    pen.lineWidth = 4;
    pen.strokeStyle = ground();
    pen.strokeText(name, x, y);
    pen.fillStyle = ink();
    pen.fillText(name, x, y);
  }
}

// Names move up or down by a line or a few where they would cover one before them.
function apart(wanted) {
  const line = 16;
  const free = [];
  for (const each of wanted) {
    const covers = (y) => free.some((other) => Math.abs(other.y - y) < line && Math.abs(other.x - each.x) < other.half + each.half);
    const y = [0, 1, -1, 2, -2, 3, -3].map((lines) => each.y + lines * line).find((y) => !covers(y)) ?? each.y;
    free.push({ ...each, y });
  }
  return free;
}

// The place of the image nearest to the middle, as a group may lie in several parts.
function middleOf(own) {
  const [x, y] = [across, down].map((along) => own.map(along).sort((one, other) => one - other)[own.length >> 1]);
  const far = (image) => (across(image) - x) ** 2 + (down(image) - y) ** 2;
  const nearest = own.reduce((best, image) => (far(image) < far(best) ? image : best));
  return [across(nearest), down(nearest)];
}

const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink");
const ground = () => getComputedStyle(document.documentElement).getPropertyValue("--card");

// --- what a pointer and keys do ---

const pointers = new Map(); // Fingers and buttons that are down: id → { x, y }.
let travelled = 0;

const place = (event) => ({ x: event.offsetX, y: event.offsetY });

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  travelled = 0;
  if (pointers.size > 1) dropLasso(); // Two fingers zoom.
  else if (lassoing() || event.shiftKey) beginLasso(place(event));
});

canvas.addEventListener("pointermove", (event) => {
  const now = place(event);
  const before = pointers.get(event.pointerId);
  if (!before) return hover(now);
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
  travelled += Math.hypot(now.x - before.x, now.y - before.y);
  if (others.length) pinch(before, now, others[0]);
  else if (corners !== null) addCorner(now);
  else pan(now.x - before.x, now.y - before.y);
  pointers.set(event.pointerId, now);
  hover(null);
});

function pinch(before, now, other) {
  const [was, is] = [before, now].map(({ x, y }) => Math.hypot(x - other.x, y - other.y));
  zoom(is / Math.max(1, was), (now.x + other.x) / 2, (now.y + other.y) / 2);
}

canvas.addEventListener("pointerup", (event) => {
  pointers.delete(event.pointerId);
  if (corners !== null && travelled > 4) closeLasso();
  else if (corners !== null) dropLasso();
  if (travelled > 4) return;
  const image = imageAt(event.offsetX, event.offsetY, 16);
  if (image !== null || selected !== null) select(image);
});
canvas.addEventListener("pointercancel", (event) => {
  pointers.delete(event.pointerId);
  dropLasso();
});
canvas.addEventListener("pointerleave", () => hover(null));
canvas.addEventListener("dblclick", (event) => zoom(2, event.offsetX, event.offsetY));

// The wheel scrolls the page until the map has been clicked, so that nobody is caught in it.
canvas.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event.offsetX, event.offsetY);
  },
  { passive: false },
);

function hover(at) {
  const image = at === null ? null : imageAt(at.x, at.y, 14);
  if (image !== hovered) {
    hovered = image;
    drawSoon();
    hint.replaceChildren(...(image === null ? [] : [picture(image), make("span", {}, inWords(image))]));
    hint.hidden = image === null;
  }
  if (image === null) return;
  hint.style.left = `${Math.max(0, Math.min(at.x + 16, view.width - hint.offsetWidth - 8))}px`;
  hint.style.top = `${Math.max(0, at.y + 20 + hint.offsetHeight > view.height ? at.y - hint.offsetHeight - 14 : at.y + 20)}px`;
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (pickByKey(event.key)) event.stopPropagation();
  else if (event.key in STEPS) step(...STEPS[event.key]);
  else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-") zoom(1 / 1.5);
  else if (event.key === "0") resetMap();
  else if (event.key === "Enter" && selected !== null) byId("inspector").focus();
  else return;
  event.preventDefault();
});

function step(x, y) {
  const next = selected === null ? imageNearMiddle() : imageBeside(selected, x, y);
  if (next === null) return;
  select(next, { aloud: true });
  reveal(next);
}

function resetMap() {
  fitView();
  drawSoon();
}

function resizeMap() {
  const density = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === view.width && height === view.height && canvas.width === Math.round(width * density)) return;
  [view.width, view.height] = [width, height];
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  resetMap();
}
