// What the service does just now: figures, the last minutes, lanes by phase.

const PHASE_ORDER = ["live", "provisional", "warming", "stale"];
const PHASE_TOLD = { live: "live", provisional: "provisional", warming: "warming up", stale: "silent" };
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"];

function formatBytes(bytes) {
  const power = bytes > 0 ? Math.min(Math.floor(Math.log2(bytes) / 10), BYTES.length - 1) : 0;
  return `${formatNumber(bytes / 1024 ** power, 3)} ${BYTES[power]}`;
}

const sumOf = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

const told = (counts, order) =>
  order
    .filter((name) => counts[name])
    .map((name) => `${counts[name].toLocaleString("en")} ${name}`)
    .join(", ");

function makeTiles(box) {
  const tiles = new Map();
  const set = (name, value, more = "") => {
    if (!tiles.has(name)) {
      const strong = element("strong"),
        small = element("small");
      box.append(element("div", { class: value.length > 14 ? "tile wide" : "tile" }, element("dt", {}, name), element("dd", {}, strong, small)));
      tiles.set(name, [strong, small]);
    }
    setText(tiles.get(name)[0], value);
    setText(tiles.get(name)[1], more);
  };
  return (now) => {
    const { records } = now;
    set("Records a second", now.records_per_s === null ? "–" : formatNumber(now.records_per_s, 3));
    const known = now.partitions.length > 0;
    set("Behind", known ? now.lag_records.toLocaleString("en") : "–", known ? (now.lag_records === 1 ? "record" : "records") : "");
    set("Keys", now.keys.toLocaleString("en"), now.state_bytes ? `${formatBytes(now.state_bytes)} of state` : "");
    set("Episodes open", now.open_episodes.toLocaleString("en"));
    set("Points flagged", sumOf(now.anomalies).toLocaleString("en"), told(now.anomalies, [...SEVERITIES].reverse()));
    set("Records", sumOf(records).toLocaleString("en"), told(records, ["late", "duplicate", "dead_lettered"]).replace("_", "-"));
    set("Newest event time, UTC", now.watermark_ms === null ? "–" : formatTime(now.watermark_ms, SECOND));
    if (now.workers > 1) set("Workers", `${now.workers_up} of ${now.workers}`, "answer");
  };
}

function fillPhases(bar, names, lanes) {
  const all = sumOf(lanes);
  if (!names.children.length) {
    for (const phase of PHASE_ORDER) {
      bar.append(element("span", { class: `phase-${phase}` }));
      names.append(element("li", {}, element("span", { class: `phase-${phase}`, "aria-hidden": "true" }), element("b")));
    }
  }
  PHASE_ORDER.forEach((phase, i) => {
    bar.children[i].style.width = `${all ? (100 * (lanes[phase] ?? 0)) / all : 0}%`;
    setText(names.children[i].lastChild, `${(lanes[phase] ?? 0).toLocaleString("en")} ${PHASE_TOLD[phase]}`);
  });
}

const SILENT_MS = 5000;

// A filled line over the last minutes, from 0; it ends where the loop of the service last told how it was.
function drawPace(canvas, moments, now_ms, name, noun, colour) {
  const { ctx, width, height } = prepare(canvas);
  const values = moments.map((moment) => moment[name] ?? 0);
  const high = Math.max(1, ...values);
  const area = { left: 46, right: width - 4, top: 6, bottom: height - 16 };
  const newest_ms = moments.length ? moments[moments.length - 1].time_ms : now_ms;
  const end = now_ms - newest_ms > SILENT_MS ? now_ms : newest_ms; // of several workers the newest second comes late
  const x = linear(end - 5 * MINUTE, end, area.left, area.right),
    y = linear(0, high * 1.05, area.bottom, area.top);
  if (moments.length) drawNumberAxis(ctx, area, y, 0, high * 1.05, 3);
  ctx.fillStyle = theme.muted;
  ctx.textAlign = "left";
  ctx.fillText("5 min ago", area.left, height - 3);
  ctx.textAlign = "right";
  ctx.fillText("now", area.right, height - 3);
  const last = values.length ? values[values.length - 1] : 0;
  const label = values.length
    ? `${formatNumber(last, 4)} ${noun} ${end > newest_ms ? formatAgo(end - newest_ms) : "now"}, at most ${formatNumber(Math.max(...values), 4)} in the last five minutes`
    : "No figures yet";
  if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
  if (!moments.length) {
    ctx.textAlign = "center";
    ctx.fillText(label, (area.left + area.right) / 2, (area.top + area.bottom) / 2);
    return;
  }
  ctx.beginPath();
  moments.forEach((moment, i) => ctx.lineTo(x(moment.time_ms), y(values[i])));
  ctx.strokeStyle = theme[colour];
  ctx.lineWidth = 1.5;
  ctx.stroke();
  ctx.lineTo(x(newest_ms), area.bottom);
  ctx.lineTo(x(moments[0].time_ms), area.bottom);
  ctx.globalAlpha = 0.14;
  ctx.fillStyle = theme[colour];
  ctx.fill();
  ctx.globalAlpha = 1;
}
