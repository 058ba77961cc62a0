// Axes: from data to pixels, and where the ticks go.

function linear(from, to, start, end) {
  const factor = (end - start) / (to - from || 1);
  const place = (value) => start + (value - from) * factor;
  place.invert = (pixel) => from + (pixel - start) / factor;
  return place;
}

// Round numbers at most `most` in count.
function numberTicks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step + 0); // no -0
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return ticks.map((value) => ({ value, text: tickText(value, decimals) }));
}

function tickText(value, decimals) {
  const size = Math.abs(value);
  if (size >= 1e7 || decimals > 6)
    return value === 0
      ? "0"
      : value
          .toExponential(2)
          .replace(/\.?0+e/, "e")
          .replace("+", "");
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

const TIME_STEPS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
];
const MONTH_STEPS = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200];

// Round times at most `most` in count; a tick that begins a day, month or year says so.
function timeTicks(from, to, most) {
  const rough = (to - from) / Math.max(1, most);
  const step = TIME_STEPS.find((candidate) => candidate >= rough);
  const times = step ? evenTimes(from, to, step) : monthTimes(from, to, rough);
  return times.map((value) => ({ value, text: timeTickText(value, step ?? 30 * DAY) }));
}

function evenTimes(from, to, step) {
  const origin = step >= 7 * DAY ? 4 * DAY : 0; // weeks begin on a Monday, as 1970-01-05 was
  const times = [];
  for (let i = Math.ceil((from - origin) / step); i * step + origin <= to; i++) times.push(i * step + origin);
  return times;
}

function monthTimes(from, to, rough) {
  const step = MONTH_STEPS.find((months) => months * 30 * DAY >= rough) ?? 2400;
  const start = new Date(from);
  const times = [];
  let month = Math.floor((start.getUTCFullYear() * 12 + start.getUTCMonth()) / step) * step;
  for (let time = from; time <= to; month += step) {
    time = Date.UTC(1970, month - 1970 * 12);
    if (time >= from && time <= to) times.push(time);
  }
  return times;
}

function timeTickText(ms, step) {
  const date = new Date(ms);
  if (ms % DAY !== 0) return formatTime(ms, step).slice(11);
  if (date.getUTCDate() === 1 && date.getUTCMonth() === 0) return String(date.getUTCFullYear());
  if (date.getUTCDate() === 1 && step >= 28 * DAY) return MONTHS[date.getUTCMonth()];
  return `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}`;
}
