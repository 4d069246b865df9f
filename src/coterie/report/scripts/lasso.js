// A line drawn around points of the map picks their images: by a pointer, or by keys, which set corners at images.

const lassoButton = byId("map-lasso");
const lassoing = () => lassoButton.getAttribute("aria-pressed") === "true";
let corners = null; // Of the line that is being drawn, as places on the map; null while there is none.

const onMap = ({ x, y }) => [(x - view.left) / view.scale, (y - view.top) / view.scale];

function beginLasso(at) {
  corners = [onMap(at)];
}

function addCorner(at) {
  const [x, y] = onMap(at);
  const [lastX, lastY] = corners[corners.length - 1];
  if (Math.hypot(x - lastX, y - lastY) * view.scale > 3) corners.push([x, y]);
  drawSoon();
}

function dropLasso() {
  corners = null;
  drawSoon();
}

// Pick what lies within; returns whether there was anything.
function closeLasso() {
  const line = corners;
  dropLasso();
  if (line.length < 3) return false;
  const within = [...run.cluster.keys()].filter((image) => inside(line, run.place[2 * image], run.place[2 * image + 1]));
  if (!within.length) {
    announce("No image lies in the lasso");
    return false;
  }
  for (const image of within) picked.add(image);
  gather([...picked], "in the lasso");
  announce(`${images(picked.size)} picked: move them, or look for more like these`, { shown: false });
  return true;
}

// Whether a ray from the place crosses the closed line an odd number of times.
function inside(line, x, y) {
  let crossed = false;
  line.forEach(([endX, endY], number) => {
    const [startX, startY] = line[(number || line.length) - 1];
    if (endY > y !== startY > y && x < ((startX - endX) * (y - endY)) / (startY - endY) + endX) crossed = !crossed;
  });
  return crossed;
}

function drawLasso() {
  if (corners === null) return;
  pen.beginPath();
  for (const [x, y] of corners) pen.lineTo(view.left + x * view.scale, view.top + y * view.scale);
  pen.closePath();
  pen.globalAlpha = 0.12;
  pen.fillStyle = ink();
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5;
  pen.setLineDash([5, 4]);
  pen.strokeStyle = ink();
  pen.stroke();
  pen.setLineDash([]);
}

// The keys of the map that pick: true where the key was one of them.
function pickByKey(key) {
  if (key === "l" || key === "L") toggleLasso();
  else if (key === "Escape" && corners !== null) dropLasso();
  else if (selected === null) return false;
  else if (key === " " && lassoing()) cornerAtSelected();
  else if (key === " ") togglePicked(selected);
  else if (key === "Enter" && corners !== null) {
    if (closeLasso()) byId("picked-to").focus();
  } else return false;
  return true;
}

function cornerAtSelected() {
  const corner = [run.place[2 * selected], run.place[2 * selected + 1]];
  corners = [...(corners ?? []), corner];
  announce(`Corner ${corners.length} at ${fileName(selected)}`, { shown: false });
  drawSoon();
}

function toggleLasso() {
  lassoButton.setAttribute("aria-pressed", String(!lassoing()));
  if (!lassoing()) dropLasso();
  announce(lassoing() ? "Lasso on: draw around images, or set corners with the space bar and close it with Enter" : "Lasso off");
}

lassoButton.addEventListener("click", toggleLasso);
