// The selected image: its picture, what is known of it, where it may be moved, and its nearest neighbours.

const inspector = byId("inspector");
let cameFrom = null; // What had the focus before an image was opened.

function showSelected() {
  inspector.classList.toggle("open", selected !== null);
  byId("inspector-empty").hidden = selected !== null;
  byId("inspector-image").hidden = selected === null;
  if (selected === null) return;
  byId("inspector-picture").replaceChildren(picture(selected));
  byId("inspector-name").textContent = fileName(selected);
  byId("inspector-key").textContent = run.keys[selected] === fileName(selected) ? "" : run.keys[selected];
  byId("inspector-facts").replaceChildren(...factsOf(selected));
  byId("inspector-pick").setAttribute("aria-pressed", String(picked.has(selected)));
  byId("inspector-neighbours").replaceChildren(
    ...neighboursOf(selected).map((image) => make("li", {}, pictureButton(image))),
  );
}

function factsOf(image) {
  const group = groupOf[image];
  const facts = [
    ["Group", nameOf(group) + (isAway(image) && !(group in work.parts) ? ` (from ${nameOf(rootOf(run.cluster[image]))})` : "")],
    ["Confidence", percent(run.confidence[image])],
  ];
  if (isSaid(image)) facts.push(["Placed", "by you"]);
  if (labelOf(image)) facts.push(["Label", labelOf(image)]);
  if (run.outlier[image]) facts.push(["Outlier", "far from every group"]);
  return facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
}

// Keyboard users are taken to the image they opened, and back where they were.
function followFocus() {
  if (selected === null || document.activeElement === canvas) return;
  if (!inspector.contains(document.activeElement)) cameFrom = document.activeElement;
  inspector.focus({ preventScroll: true });
}

function closeInspector() {
  select(null);
  if (cameFrom && cameFrom.isConnected) cameFrom.focus();
  cameFrom = null;
}

byId("move").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("move-to");
  if (selected !== null) moveTo([selected], field.value);
  field.value = "";
});
byId("inspector-close").addEventListener("click", closeInspector);
byId("inspector-locate").addEventListener("click", () => {
  canvas.scrollIntoView({ block: "center" });
  canvas.focus({ preventScroll: true });
  reveal(selected);
  drawSoon();
});
byId("inspector-pick").addEventListener("click", () => togglePicked(selected));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && selected !== null) closeInspector();
});
