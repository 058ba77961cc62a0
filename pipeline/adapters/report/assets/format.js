// Text for numbers and times. All times are UTC.

const SEVERITIES = ["none", "low", "medium", "high", "critical"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECOND = 1000,
  MINUTE = 60 * SECOND,
  HOUR = 60 * MINUTE,
  DAY = 24 * HOUR;

const two = (number) => String(number).padStart(2, "0");

function formatNumber(value, digits = 5) {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return value.toExponential(digits - 2);
  const whole = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  return value.toLocaleString("en", { maximumFractionDigits: Math.max(0, digits - whole) });
}

const formatCount = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

const isJoint = (field) => field === "*";

const formatKind = (kind) => kind.replaceAll("_", " ");

// As precise as `step` asks for, the milliseconds between neighbouring points.
function formatTime(ms, step = MINUTE) {
  const date = new Date(ms);
  const day = `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  let clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  if (step < MINUTE) clock += `:${two(date.getUTCSeconds())}`;
  if (step < SECOND) clock += `.${String(date.getUTCMilliseconds()).padStart(3, "0")}`;
  return `${day} ${clock}`;
}

function formatDuration(ms) {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  const parts = [];
  for (const [name, size] of [
    ["d", DAY],
    ["h", HOUR],
    ["min", MINUTE],
    ["s", SECOND],
  ]) {
    const count = Math.floor(ms / size);
    ms -= count * size;
    if (count) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ");
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const severityBadge = (severity) => element("span", { class: `badge ${SEVERITIES[severity]}` }, SEVERITIES[severity]);

// Of an episode or event: how severe it is; one that is suppressed is quiet, and says so.
function badges({ severity, suppressed }) {
  const grade = severityBadge(severity);
  if (!suppressed) return [grade];
  grade.classList.add("quiet");
  return [grade, element("span", { class: "badge quiet", title: suppressedBy(suppressed) }, "suppressed")];
}

const saidOf = ({ kind, note }) => (kind === "maintenance" ? "maintenance" : "what was labelled a false alarm") + (note && `: ${note}`);

const suppressedBy = (said) => `suppressed by ${saidOf(said)}`;

// What people have said of its time, '' for nothing.
const feedbackOn = ({ suppressed, outlasted }) =>
  suppressed ? suppressedBy(suppressed) : outlasted ? `until then suppressed by ${saidOf(outlasted)}` : "";
