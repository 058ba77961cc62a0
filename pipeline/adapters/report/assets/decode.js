// Unpacks the points of a lane: base64 of one gzip of byte-shuffled columns, as encode.py packed them.

const FLOATS = ["value", "expected", "lower", "upper", "score", "threshold"];

const decoded = new Map();

function pointsOf(lane) {
  if (!decoded.has(lane.number)) decoded.set(lane.number, decode(lane));
  return decoded.get(lane.number);
}

async function decode(lane) {
  if (!lane.pack) return emptyPoints();
  const { count, start, unit, centre, scale } = lane.pack;
  const bytes = await inflate(document.getElementById(`points-${lane.number}`).textContent);
  const steps = new Uint32Array(unshuffle(bytes, 0, count));
  const points = { count, time: new Float64Array(count) };
  let units = 0;
  for (let i = 0; i < count; i++) {
    units += steps[i];
    points.time[i] = start + units * unit;
  }
  FLOATS.forEach((name, column) => {
    const floats = new Float32Array(unshuffle(bytes, (column + 1) * 4 * count, count));
    const placed = column < 4;
    points[name] = placed ? Float64Array.from(floats, (value) => centre + value * scale) : floats;
  });
  const flags = bytes.subarray(count * 28);
  points.severity = flags.map((flag) => flag & 7);
  points.phase = flags.map((flag) => (flag >> 3) & 3);
  points.gap = flags.map((flag) => flag >> 5);
  points.flagged = indicesWhere(points.severity);
  return points;
}

function emptyPoints() {
  const points = { count: 0, time: new Float64Array(0), severity: [], phase: [], gap: [], flagged: [] };
  for (const name of FLOATS) points[name] = points.time;
  return points;
}

function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unshuffle(bytes, from, count) {
  const whole = new Uint8Array(count * 4);
  for (let byte = 0; byte < 4; byte++) {
    const plane = from + byte * count;
    for (let i = 0; i < count; i++) whole[i * 4 + byte] = bytes[plane + i];
  }
  return whole.buffer;
}

function indicesWhere(marks) {
  const found = [];
  for (let i = 0; i < marks.length; i++) if (marks[i]) found.push(i);
  return found;
}

// First index whose time is at or after `ms`.
function indexAt(time, ms) {
  let low = 0,
    high = time.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time[middle] < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}
