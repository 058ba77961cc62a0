// From answers of the API to what the plot and the reasons of the report draw.

const data = { from: 0, to: MINUTE, streams: {}, horizons: [] };

const part = (id) => document.getElementById(id);
const fieldName = (field) => (isJoint(field) ? "all fields together" : field);
const laneName = (key, field) => `${key} · ${fieldName(field)}`;

const floats = (values) => Float64Array.from(values, (value) => (value === null ? NaN : value));

function pointsFrom(columns) {
  const time = Float64Array.from(columns.time_ms);
  const points = { count: time.length, time, severity: columns.severity, phase: columns.phase };
  for (const name of FLOATS) points[name] = floats(columns[name]);
  points.gap = gapsOf(time);
  points.flagged = indicesWhere(points.severity);
  return points;
}

// A step of more than eight usual ones is a gap, as for the service.
function gapsOf(time) {
  const steps = Array.from(time.subarray(1), (ms, i) => ms - time[i]).sort((a, b) => a - b);
  const usual = steps[steps.length >> 1] ?? 0;
  return Array.from(time, (ms, i) => i > 0 && ms - time[i - 1] > 8 * usual);
}

// Events of a lane, folded into episodes; one whose opening is no longer told begins where it said it did.
function episodesFrom(events) {
  const episodes = new Map();
  for (const event of [...events].reverse()) {
    if (!episodes.has(event.episode))
      episodes.set(event.episode, { opened_ms: event.opened_ms, closed_ms: null, severity: 0, kind: event.kind, suppressed: event.suppressed });
    const episode = episodes.get(event.episode);
    if (event.event === "closed") episode.closed_ms = event.time_ms;
    if (event.kind !== "point") episode.kind = event.kind;
    episode.suppressed &&= event.suppressed;
    episode.severity = Math.max(episode.severity, SEVERITIES.indexOf(event.severity));
  }
  return [...episodes.values()];
}

// An event in full, as why.js takes an episode.
function reasonOf({ anomaly, opened_ms, time_ms, spoke, horizons }) {
  data.horizons = horizons;
  for (const { name, label, horizon, unit } of spoke) data.streams[name] = [label, horizon, unit];
  return {
    kind: anomaly.kind,
    field: anomaly.field,
    opened_ms: anomaly.event === "opened" ? time_ms : opened_ms,
    severity: SEVERITIES.indexOf(anomaly.severity),
    reason: anomaly.reason,
    end: "",
    suppressed: anomaly.suppressed,
    outlasted: anomaly.outlasted,
    shares: Object.entries(anomaly.contributions).sort((a, b) => b[1] - a[1]),
    streams: spoke.map(({ name, novelty, value, rank }) => [name, novelty, value, rank]),
  };
}
