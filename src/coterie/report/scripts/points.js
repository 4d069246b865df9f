// The places of the images on the map, and how they lie on the screen.

const CELLS = 64; // Along each side of the grid that finds near points quickly.
const MOST_ZOOM = 60;

// Places are 0…1; the view shows them `scale` pixels wide, shifted by `left` and `top`.
const view = { scale: 1, left: 0, top: 0, width: 1, height: 1, fitted: 1 };
const across = (image) => view.left + run.place[2 * image] * view.scale;
const down = (image) => view.top + run.place[2 * image + 1] * view.scale;

const grid = Array.from({ length: CELLS * CELLS }, () => []);
const cellOf = (part) => Math.min(CELLS - 1, Math.max(0, Math.floor(part * CELLS)));
for (let image = 0; image < run.count; image++) {
  grid[cellOf(run.place[2 * image + 1]) * CELLS + cellOf(run.place[2 * image])].push(image);
}

// The image within `reach` pixels that lies nearest to a place on the screen, or null.
function imageAt(x, y, reach) {
  const part = (pixels, shift) => (pixels - shift) / view.scale;
  let [best, nearest] = [null, reach * reach];
  for (let row = cellOf(part(y - reach, view.top)); row <= cellOf(part(y + reach, view.top)); row++) {
    for (let column = cellOf(part(x - reach, view.left)); column <= cellOf(part(x + reach, view.left)); column++) {
      for (const image of grid[row * CELLS + column]) {
        const far = (across(image) - x) ** 2 + (down(image) - y) ** 2;
        if (far <= nearest) [best, nearest] = [image, far];
      }
    }
  }
  return best;
}

// The next image from another in a direction, such as (1, 0) for the right: near, and more ahead than aside.
function imageBeside(from, aheadX, aheadY) {
  let [best, least] = [null, Infinity];
  for (let image = 0; image < run.count; image++) {
    const x = run.place[2 * image] - run.place[2 * from];
    const y = run.place[2 * image + 1] - run.place[2 * from + 1];
    const ahead = x * aheadX + y * aheadY;
    const aside = Math.abs(x * aheadY - y * aheadX);
    if (ahead <= 0 || aside > ahead) continue;
    const cost = ahead + 2 * aside;
    if (cost < least) [best, least] = [image, cost];
  }
  return best;
}

function imageNearMiddle() {
  let [best, nearest] = [0, Infinity];
  for (let image = 0; image < run.count; image++) {
    const far = (across(image) - view.width / 2) ** 2 + (down(image) - view.height / 2) ** 2;
    if (far < nearest) [best, nearest] = [image, far];
  }
  return best;
}

function inSight() {
  const seen = [];
  for (let image = 0; image < run.count; image++) {
    const [x, y] = [across(image), down(image)];
    if (x > -40 && y > -40 && x < view.width + 40 && y < view.height + 40) seen.push(image);
  }
  return seen;
}

function fitView() {
  const room = Math.min(view.width, view.height);
  const wide = spread(0);
  const high = spread(1);
  view.fitted = 0.9 * Math.min(view.width / Math.max(wide, 0.05), view.height / Math.max(high, 0.05), 4 * room);
  view.scale = view.fitted;
  [view.left, view.top] = [(view.width - view.scale) / 2, (view.height - view.scale) / 2];
}

function spread(axis) {
  let [low, high] = [1, 0];
  for (let at = axis; at < run.place.length; at += 2) {
    low = Math.min(low, run.place[at]);
    high = Math.max(high, run.place[at]);
  }
  return high - low;
}

// Grow about a place on the screen, which stays where it is.
function zoom(factor, x = view.width / 2, y = view.height / 2) {
  const scale = Math.min(MOST_ZOOM * view.fitted, Math.max(0.5 * view.fitted, view.scale * factor));
  view.left = x - ((x - view.left) * scale) / view.scale;
  view.top = y - ((y - view.top) * scale) / view.scale;
  view.scale = scale;
  drawSoon();
}

function pan(x, y) {
  view.left += x;
  view.top += y;
  drawSoon();
}

// Bring an image to where it can be seen.
function reveal(image) {
  const [x, y] = [across(image), down(image)];
  if (x > 30 && y > 30 && x < view.width - 30 && y < view.height - 30) return;
  pan(view.width / 2 - x, view.height / 2 - y);
}
