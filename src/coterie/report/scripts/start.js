// What happens when: every part shows what it has to, and again whenever something changes.

function showProgress() {
  const groups = [...members.keys()];
  const named = groups.filter(isNamed).length;
  const words = [`${named} of ${groups.length} groups named`];
  const mixed = groups.filter(isMixed).length;
  const merged = Object.keys(work.into).length;
  const split = new Set(Object.keys(work.parts).map((part) => wholeOf(Number(part)))).size;
  const placed = Object.keys(work.moved).length;
  if (mixed) words.push(`${mixed} mixed`);
  if (merged) words.push(`${merged} merged`);
  if (split) words.push(`${split} split`);
  if (placed) words.push(`${images(placed)} placed by you`);
  byId("progress").textContent = words.join(" · ");
  byId("undo").disabled = past.length === 0;
  byId("undo").title = past.length ? past[past.length - 1].words : "";
}

byId("undo").addEventListener("click", undo);
byId("said-undo").addEventListener("click", undo);
byId("start-over").addEventListener("click", startOver);
byId("download").addEventListener("click", () => {
  download("labels.csv", toTable());
  announce("labels.csv downloaded: turn it into folders with coterie apply");
});
byId("load").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  try {
    const rows = fromTable(await textOf(file));
    change("Loaded labels", () => (work = workOf(rows)));
  } catch (error) {
    announce(`${file.name} cannot be used: ${error.message}`);
  }
});
for (const name of ["show", "sort"]) byId(`cards-${name}`).addEventListener("change", arrangeCards);
byId("cards-find").addEventListener("input", arrangeCards);
byId("map-colour").addEventListener("change", drawSoon);
byId("map-in").addEventListener("click", () => zoom(1.5));
byId("map-out").addEventListener("click", () => zoom(1 / 1.5));
byId("map-all").addEventListener("click", resetMap);

onChange.push(showCards, showProgress, showSelected, lookAgain);
onSelect.push(showSelected, followFocus, drawSoon);
onWanted.push(showWanted, showImages, showFound, drawSoon);

document.documentElement.classList.add("scripted");
const takenUp = takeUp();
settle();
showCards();
showProgress();
lookAgain();
new ResizeObserver(resizeMap).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
resizeMap();
if (takenUp) announce(takenUp);
if (served) beginServed();
