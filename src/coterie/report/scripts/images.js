// All images as a list: filtered, in an order, some of them picked to be moved together.

const AT_ONCE = 96;
let listed = AT_ONCE;

function showImages() {
  const matching = [...(found ?? Array.from({ length: run.count }, (_, image) => image))].sort(ORDERS[wanted.sort]);
  const items = matching.slice(0, listed).map((image) => make("li", {}, pictureButton(image), pickBox(image)));
  byId("images-grid").replaceChildren(...items);
  byId("images-count").textContent = found === null ? images(run.count) : `${images(found.length)} found`;
  byId("images-more").hidden = matching.length <= listed;
  byId("images-more").textContent = `Show ${Math.min(AT_ONCE, matching.length - listed)} more`;
  showPicked();
}

function pickBox(image) {
  const box = make("input", { type: "checkbox", checked: picked.has(image), "aria-label": `Pick ${fileName(image)}` });
  box.addEventListener("change", () => {
    if (box.checked) picked.add(image);
    else picked.delete(image);
    showPicked();
  });
  return box;
}

// Picked images stay so whatever is looked for; the bar at the bottom tells of them.
function showPicked() {
  byId("picked").hidden = picked.size === 0;
  document.body.classList.toggle("picking", picked.size > 0);
  byId("picked-count").textContent = `${images(picked.size)} picked`;
  byId("inspector-pick").setAttribute("aria-pressed", String(picked.has(selected)));
}

function togglePicked(image) {
  if (!picked.delete(image)) picked.add(image);
  showImages();
  announce(`${fileName(image)} ${picked.has(image) ? "picked" : "no longer picked"}, ${images(picked.size)} in all`, { shown: false });
}

function showWanted() {
  byId("find").value = byId("find").value.trim() === wanted.text.trim() ? byId("find").value : wanted.text;
  byId("images-kind").value = wanted.kind;
  const groupField = byId("images-group");
  const options = [...members.keys()].map((group) => make("option", { value: group }, nameOf(group)));
  groupField.replaceChildren(make("option", { value: "" }, "all groups"), ...options);
  groupField.value = wanted.group;
  if (groupField.value !== String(wanted.group)) want({ group: "" });
}

// The first images found, beside the field that looks for them.
function showFound() {
  const looking = wanted.text.trim() !== "";
  byId("found").textContent = looking ? `${images(found.length)} found` : "";
  byId("found-pictures").replaceChildren(...(looking ? found : []).slice(0, 8).map((image) => make("li", {}, pictureButton(image))));
  byId("found-all").hidden = !looking || found.length === 0;
}

function showImagesOf(group) {
  listed = AT_ONCE;
  want({ group: String(group), text: "", kind: "all", sort: "doubtful" });
  byId("images-sort").value = wanted.sort;
  goToImages();
}

function goToImages() {
  byId("images").scrollIntoView();
  byId("images-heading").focus({ preventScroll: true });
}

let typing;
byId("find").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => want({ text: event.target.value }), 120);
});
byId("found-all").addEventListener("click", goToImages);
for (const name of ["group", "kind", "sort"]) {
  byId(`images-${name}`).addEventListener("change", (event) => {
    listed = AT_ONCE;
    want({ [name]: event.target.value });
  });
}
byId("images-clear").addEventListener("click", () => want({ text: "", group: "", kind: "all" }));
byId("images-more").addEventListener("click", () => {
  const first = listed;
  listed += AT_ONCE;
  showImages();
  byId("images-grid").children[first]?.querySelector("button").focus();
});
byId("pick-all").addEventListener("click", () => {
  for (const image of found ?? run.cluster.keys()) picked.add(image);
  showImages();
});
byId("pick-none").addEventListener("click", () => {
  picked.clear();
  showImages();
});
byId("picked").addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = [...picked];
  const name = byId("picked-to").value;
  if (!tidy(name)) return;
  picked.clear();
  byId("picked-to").value = "";
  moveTo(chosen, name);
  byId("images-heading").focus({ preventScroll: true });
});
byId("picked-show").addEventListener("click", () => {
  gather([...picked], "picked");
  goToImages();
});
byId("picked-like").addEventListener("click", moreLike);
