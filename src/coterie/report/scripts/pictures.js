// Pictures of images, cut out of the sheets.

const sheetAddresses = [...document.querySelectorAll("script.sheet")].map((script) => {
  const bytes = Uint8Array.from(atob(script.textContent.trim()), (letter) => letter.charCodeAt(0));
  script.remove(); // The page need not hold it twice.
  return URL.createObjectURL(new Blob([bytes], { type: run.sheets.type }));
});
const sheetImages = []; // Decoded for the map, when it first needs them.
const tileCount = run.sheets ? run.sheets.tile.reduce((most, tile) => (tile === NONE ? most : Math.max(most, tile + 1)), 0) : 0;

// Where an image's picture is: { sheet, column, row }, or null.
function tileOf(image) {
  if (!run.sheets || run.sheets.tile[image] === NONE) return null;
  const columns = run.sheets.columns;
  const tile = run.sheets.tile[image];
  const within = tile % (columns * columns);
  return { sheet: Math.floor(tile / (columns * columns)), column: within % columns, row: Math.floor(within / columns) };
}

// An element with the picture, as large as its place; the name where there is no picture.
function picture(image) {
  const tile = tileOf(image);
  if (tile === null) return make("span", { className: "gone" }, fileName(image));
  const columns = run.sheets.columns;
  const before = tile.sheet * columns * columns;
  const rows = Math.ceil(Math.min(columns * columns, tileCount - before) / columns);
  const span = make("span", { className: "picture" });
  span.style.backgroundImage = `url(${sheetAddresses[tile.sheet]})`;
  span.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
  span.style.backgroundPosition = `${share(tile.column, columns)}% ${share(tile.row, rows)}%`;
  return span;
}

const share = (place, count) => (count > 1 ? (100 * place) / (count - 1) : 0);

// Draw the picture into a square of a canvas; false until its sheet is there.
function drawPicture(context, image, left, top, side) {
  const tile = tileOf(image);
  if (tile === null) return false;
  const sheet = (sheetImages[tile.sheet] ??= loadedSheet(tile.sheet));
  if (!sheet.complete || !sheet.naturalWidth) return false;
  const size = run.sheets.side;
  context.drawImage(sheet, tile.column * size, tile.row * size, size, size, left, top, side, side);
  return true;
}

function loadedSheet(number) {
  const sheet = new Image();
  sheet.onload = () => drawSoon();
  sheet.src = sheetAddresses[number];
  return sheet;
}
