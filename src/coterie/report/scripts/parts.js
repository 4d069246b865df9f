// A group split into parts that look alike: k-means on the page's vectors, or on the embeddings where the run is at hand.

const TRIALS = 4;
const MOST_PASSES = 30;

async function split(group, count) {
  const own = members.get(group);
  const name = nameOf(group);
  if (!(count >= 2) || own.length < count) {
    announce(`${name} has ${images(own.length)}: it can be split into 2 to ${own.length} parts`);
    return;
  }
  let found;
  try {
    found = served ? (await ask("split", { rows: own.map(rowOf), parts: count })).parts : kMeans(own.map(vectorOf), count);
  } catch (error) {
    announce(`${name} was not split: ${error.message}`);
    return;
  }
  if (own !== members.get(group)) return; // The groups have changed while the server was asked.
  const parts = Array.from({ length: count }, (_, part) => own.filter((_, place) => found[place] === part));
  const filled = parts.filter((part) => part.length).sort((one, other) => other.length - one.length);
  if (filled.length < 2) announce(`${name} cannot be split: its images are all alike`);
  else goTo(splitInto(group, filled));
}

// The part of each point by the trial of least inertia; the same points give the same parts.
function kMeans(points, count) {
  let best = { inertia: Infinity };
  for (let trial = 0; trial < TRIALS; trial++) {
    const found = lloyd(points, farApart(points, count, draws(trial)));
    if (found.inertia < best.inertia) best = found;
  }
  return best.part;
}

// Numbers from 0 to 1 (mulberry32).
function draws(seed) {
  let state = seed + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function distance(one, other) {
  let sum = 0;
  for (let axis = 0; axis < one.length; axis++) sum += (one[axis] - other[axis]) ** 2;
  return sum;
}

// First centers, each drawn by its squared distance to those before (k-means++).
function farApart(points, count, draw) {
  const centers = [Float64Array.from(points[Math.floor(draw() * points.length)])];
  const far = new Float64Array(points.length).fill(Infinity);
  while (centers.length < count) {
    const last = centers[centers.length - 1];
    points.forEach((point, place) => (far[place] = Math.min(far[place], distance(point, last))));
    let left = draw() * far.reduce((sum, each) => sum + each, 0);
    const drawn = far.findIndex((each) => (left -= each) < 0);
    centers.push(Float64Array.from(points[Math.max(0, drawn)]));
  }
  return centers;
}

function lloyd(points, centers) {
  const part = new Int32Array(points.length).fill(-1);
  let inertia = 0;
  for (let pass = 0, moved = true; moved && pass < MOST_PASSES; pass++) {
    [moved, inertia] = [false, 0];
    points.forEach((point, place) => {
      const far = centers.map((center) => distance(point, center));
      const nearest = far.indexOf(Math.min(...far));
      moved ||= part[place] !== nearest;
      part[place] = nearest;
      inertia += far[nearest];
    });
    centers = centers.map((center, number) => meanOf(points.filter((_, place) => part[place] === number)) ?? center);
  }
  return { part, inertia };
}

function meanOf(points) {
  if (!points.length) return null;
  const mean = new Float64Array(points[0].length);
  for (const point of points) for (let axis = 0; axis < mean.length; axis++) mean[axis] += point[axis] / points.length;
  return mean;
}
