// Images brought together to be looked at, ticked and named: those likest to the picked ones, or those in a lasso.

const MOST_LIKE = 96;
const picked = new Set();
let gathered = new Map(); // Image → its rank.

// Show these images, in this order, in the list; the words say what they are.
function gather(those, words) {
  gathered = new Map(those.map((image, rank) => [image, rank]));
  for (const option of [byId("kind-gathered"), byId("sort-gathered")]) option.hidden = false;
  byId("kind-gathered").textContent = words;
  listed = AT_ONCE;
  byId("images-sort").value = wanted.sort = "gathered";
  want({ text: "", group: "", kind: "gathered" });
}

// The picked images first, then those nearest to the mean of them. What a person named already is not asked again.
async function moreLike() {
  const seeds = [...picked];
  const among = [...run.cluster.keys()].filter((image) => !isSaid(image) && !picked.has(image));
  let near;
  try {
    near = served ? await nearOfRun(seeds, among) : nearOfPage(seeds, among);
  } catch (error) {
    announce(`Nothing was found: ${error.message}`);
    return;
  }
  gather([...seeds, ...near], `like the ${seeds.length} picked`);
  announce(`The ${near.length} likest to the ${seeds.length} picked: tick what belongs to them, then move them`);
}

function nearOfPage(seeds, among) {
  const mean = meanOf(seeds.map(vectorOf));
  const far = new Map(among.map((image) => [image, distance(vectorOf(image), mean)]));
  return among.sort((one, other) => far.get(one) - far.get(other)).slice(0, MOST_LIKE);
}

async function nearOfRun(seeds, among) {
  const { rows } = await ask("similar", { rows: seeds.map(rowOf), among: among.map(rowOf), most: MOST_LIKE });
  return rows.map(imageOfRow);
}
