// The cards of the groups: names, merging, marking, and their order.

const cardsOf = new Map([...document.querySelectorAll("article[data-group]")].map((card) => [Number(card.dataset.group), card]));
const cardList = byId("cards");
const saidAtFirst = new Map([...cardsOf].map(([group, card]) => [group, card.querySelector(".facts").innerHTML]));
const ownPictures = new Map([...cardsOf].map(([group, card]) => [group, card.querySelector(".pictures")]));

// Gallery pictures become buttons that open the image.
for (const item of document.querySelectorAll(".gallery li[data-row]")) {
  const image = imageOfRow(Number(item.dataset.row));
  const own = item.querySelector("img");
  if (image === null) continue;
  const button = make("button", { type: "button", className: "pic" }, own ?? picture(image));
  if (!own) button.setAttribute("aria-label", fileName(image));
  button.addEventListener("click", () => select(image));
  item.querySelector(".gone")?.remove();
  item.prepend(button);
  item.dataset.image = image;
}

for (const [group, card] of cardsOf) wire(group, card);

// Only the field in use offers names: hundreds at once would make every new name slow.
for (const [event, use] of [["focusin", true], ["focusout", false]]) {
  cardList.addEventListener(event, ({ target }) => {
    if (!target.matches("input:not([type=checkbox])")) return;
    if (use) target.setAttribute("list", "group-names");
    else target.removeAttribute("list");
  });
}

function wire(group, card) {
  const field = card.querySelector(".name-field");
  field.addEventListener("change", () => {
    const now = rename(group, field.value);
    if (now !== group) goTo(now);
    else showCards();
  });
  card.querySelector(".merge").addEventListener("submit", (event) => {
    event.preventDefault();
    const into = event.target.querySelector("input");
    const target = groupNamed(into.value);
    if (target === null || target === group) {
      announce(target === null ? `There is no group “${tidy(into.value)}”` : "A group cannot be merged with itself");
      return;
    }
    into.value = "";
    goTo(merge(group, target));
  });
  card.querySelector(".split").addEventListener("submit", (event) => {
    event.preventDefault();
    split(group, event.target.querySelector("input").valueAsNumber);
  });
  offerWords(group, card.querySelector(".words"));
  card.querySelector(".mixed-box").addEventListener("change", (event) => markMixed(group, event.target.checked));
  card.querySelector(".all").addEventListener("click", () => showImagesOf(group));
}

// Suggested words become buttons: a click is as good as typing the name.
function offerWords(group, place) {
  const buttons = (place ? run.words[group] : []).map(({ word, share }) => {
    const button = make("button", { type: "button" }, `${word} `, make("small", {}, percent(share)));
    button.setAttribute("aria-label", `${word} ${percent(share)}, as a name for ${usualName(group)}`);
    button.addEventListener("click", () => {
      const now = rename(group, word);
      if (now === group) cardsOf.get(group).querySelector("h3").focus({ preventScroll: true });
      else goTo(now);
    });
    return button;
  });
  place?.replaceChildren(...buttons);
}

function goTo(group) {
  const heading = cardsOf.get(group).querySelector("h3");
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "center" });
}

// A card for a group a person made: a copy of the empty one in the page.
function madeCard(group) {
  const card = byId("new-card").content.firstElementChild.cloneNode(true);
  card.id = `group-${group}`;
  card.dataset.group = group;
  card.style.setProperty("--colour", colourOf(group));
  cardsOf.set(group, card);
  ownPictures.set(group, card.querySelector(".pictures"));
  cardList.append(card);
  wire(group, card);
  return card;
}

function showCards() {
  for (const group of members.keys()) if (!cardsOf.has(group)) madeCard(group);
  for (const [group, card] of cardsOf) {
    card.hidden = !members.has(group);
    if (members.has(group)) showCard(group, card);
  }
  byId("group-names").replaceChildren(...[...members.keys()].map((group) => make("option", { value: nameOf(group) })));
  arrangeCards();
  showChips();
}

function showCard(group, card) {
  const name = nameOf(group);
  card.querySelector(".title").textContent = name;
  card.querySelector(".badge").hidden = !isMixed(group);
  card.classList.toggle("is-mixed", isMixed(group));
  const words = card.querySelector(".words");
  if (words) words.hidden = isNamed(group);
  card.querySelector(".mixed-box").checked = isMixed(group);
  const field = card.querySelector(".name-field");
  field.value = isNamed(group) ? name : "";
  field.placeholder = usualName(group);
  for (const [what, element] of [
    ["Name of", field],
    ["Merge into another group:", card.querySelector(".merge input")],
    ["Number of parts to split into:", card.querySelector(".split input")],
  ]) {
    element.setAttribute("aria-label", `${what} ${name}`);
  }
  const own = members.get(group);
  const arrived = own.filter(isAway);
  const edited = arrived.length > 0 || absorbedBy(group).length > 0 || own.length !== countIn(group);
  if (edited || !saidAtFirst.has(group)) card.querySelector(".facts").replaceChildren(...factsOfGroup(group));
  else card.querySelector(".facts").innerHTML = saidAtFirst.get(group);
  const majority = card.querySelector(".majority");
  if (majority) majority.hidden = edited;
  showAbsorbed(group, card);
  showArrived(group, card, arrived);
  markLeft(group, card);
}

const counts = new Map();
for (const cluster of run.cluster) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
const countIn = (group) => counts.get(group) ?? 0;

function figuresOf(group) {
  const own = members.get(group);
  const known = new Map();
  let [sure, outliers, labelled] = [0, 0, 0];
  for (const image of own) {
    sure += run.confidence[image];
    outliers += run.outlier[image];
    const label = labelOf(image);
    if (label) known.set(label, (known.get(label) ?? 0) + 1);
    if (label) labelled++;
  }
  const [majority, most] = [...known].sort((one, other) => other[1] - one[1])[0] ?? ["", 0];
  const purity = labelled ? most / labelled : NaN;
  return { size: own.length, confidence: own.length ? sure / own.length : 0, outliers, majority, purity };
}

function factsOfGroup(group) {
  const { size, confidence, outliers, majority, purity } = figuresOf(group);
  const facts = [`${size === 1 ? " image" : " images"} (${percent(size / run.count, 1)})`];
  if (size) facts.push(`mean confidence ${percent(confidence)}`);
  if (majority) facts.push(`mostly “${majority}”`, `purity ${percent(purity, 1)}`);
  if (outliers) facts.push(outliers === 1 ? "1 outlier" : `${outliers} outliers`);
  return [make("b", {}, thousands(size)), facts.join(" · ")];
}

// The galleries of merged clusters, each with a way back.
function showAbsorbed(group, card) {
  const place = card.querySelector(".absorbed");
  const parts = absorbedBy(group).map((cluster) => {
    const button = make("button", { type: "button" }, "Split off again");
    button.setAttribute("aria-label", `Split ${usualName(cluster)} off again`);
    button.addEventListener("click", () => {
      splitOff(cluster);
      goTo(cluster);
    });
    return make("div", {}, make("h4", {}, `Merged: ${usualName(cluster)} `, button), ownPictures.get(cluster) ?? "");
  });
  place.replaceChildren(...parts);
  const mine = ownPictures.get(group);
  if (mine && mine.parentElement !== card) card.insertBefore(mine, place);
}

function showArrived(group, card, arrived) {
  const place = card.querySelector(".arrived");
  const list = make("ul", { className: "gallery" }, ...arrived.slice(0, 48).map((image) => make("li", {}, pictureButton(image))));
  const words = `${group in work.parts ? "In this part" : "Moved here"}: ${images(arrived.length)}`;
  place.replaceChildren(...(arrived.length ? [make("h4", {}, words), list] : []));
}

// Images that went elsewhere stay where they were found, struck out.
function markLeft(group, card) {
  for (const item of card.querySelectorAll(".gallery li[data-image]")) {
    item.classList.toggle("left", groupOf[Number(item.dataset.image)] !== group);
  }
}

const CARD_KINDS = {
  all: () => true,
  unnamed: (group) => !isNamed(group),
  named: isNamed,
  mixed: isMixed,
  outliers: (group) => figuresOf(group).outliers > 0,
  unsure: (group) => figuresOf(group).confidence < 0.5,
  impure: (group) => figuresOf(group).purity < 0.5,
};
const CARD_ORDERS = {
  number: (group) => wholeOf(group) + numberOf(group) / run.palette.length, // Parts follow what they are parts of.
  large: (group) => -figuresOf(group).size,
  small: (group) => figuresOf(group).size,
  sure: (group) => -figuresOf(group).confidence,
  doubtful: (group) => figuresOf(group).confidence,
  pure: (group) => -(figuresOf(group).purity || 0),
  impure: (group) => figuresOf(group).purity || 0,
};

function arrangeCards() {
  const kind = CARD_KINDS[byId("cards-show").value];
  const order = CARD_ORDERS[byId("cards-sort").value];
  const text = byId("cards-find").value.trim().toLowerCase();
  const ranked = [...members.keys()].map((group) => [order(group), group]).sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  let shown = 0;
  for (const [, group] of ranked) {
    const card = cardsOf.get(group);
    const words = `${nameOf(group)} ${figuresOf(group).majority}`.toLowerCase();
    card.hidden = !kind(group) || !words.includes(text);
    shown += card.hidden ? 0 : 1;
  }
  const now = [...cardList.children].filter((card) => members.has(Number(card.dataset.group)));
  // Moving an element takes the focus from it, so nothing moves unless the order is another.
  if (ranked.some(([, group], place) => now[place] !== cardsOf.get(group))) {
    cardList.append(...ranked.map(([, group]) => cardsOf.get(group)));
  }
  byId("cards-count").textContent = shown === ranked.length ? "" : `${shown} of ${ranked.length} groups`;
}

function showChips() {
  const chips = [...members].map(([group, own]) => {
    const dot = make("i");
    dot.style.background = colourOf(group);
    const chip = make("a", { href: `#group-${group}` }, dot, nameOf(group), make("span", { className: "quiet" }, thousands(own.length)));
    chip.classList.toggle("is-mixed", isMixed(group));
    return chip;
  });
  byId("chips").replaceChildren(...chips);
}
