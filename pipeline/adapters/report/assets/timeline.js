// Episodes of all lanes over the whole time: a strip of how bad it was at each moment, and under it a row per lane.

const ROWS = 24;
const STRIP = { top: 2, bottom: 18 };

function makeTimeline(canvas, note, hover, open) {
  const rows = data.lanes.filter((lane) => lane.episodes.length || lane.labels.length).slice(0, ROWS);
  const touched = data.lanes.filter((lane) => lane.episodes.length).length;
  const height = rows.length <= 6 ? 26 : rows.length <= 12 ? 19 : 9;
  const named = height > 12;
  canvas.style.height = `${STRIP.bottom + 8 + rows.length * height + 22}px`;
  note.textContent = touched > ROWS ? `the worst ${ROWS} of ${formatCount(touched, "lane")}` : "";
  canvas.setAttribute(
    "aria-label",
    `Episodes of ${formatCount(touched, "lane")} over time; the worst are listed beside it`,
  );
  let places = [];

  const draw = () => {
    const { ctx, width } = prepare(canvas);
    if (width === 0) return;
    const left = named ? Math.min(170, width * 0.28) : 0,
      right = width - 4;
    const x = linear(data.from, data.to, left, right);
    const bottom = STRIP.bottom + 8 + rows.length * height;
    drawTicks(ctx, x, left, right, bottom);
    drawStrip(ctx, x, left, right, named);
    places = rows.flatMap((lane, row) =>
      drawRow(ctx, lane, x, STRIP.bottom + 8 + row * height, height, left, right, named),
    );
  };

  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const px = event.clientX - box.left,
      py = event.clientY - box.top;
    return places.find(({ left, right, top }) => px >= left - 2 && px <= right + 2 && py >= top && py < top + height);
  };
  canvas.addEventListener("pointermove", (event) => {
    const found = under(event);
    canvas.style.cursor = found ? "pointer" : "default";
    hover.hidden = !found;
    if (!found) return;
    hover.replaceChildren(
      element("b", {}, found.lane.name),
      ...badges(found.episode),
      element("div", {}, `${formatKind(found.episode.kind)}, ${formatTime(found.episode.opened_ms)}`),
    );
    moveTip(hover, event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerleave", () => (hover.hidden = true));
  canvas.addEventListener("click", (event) => {
    const found = under(event);
    if (found) open(found.lane, found.episode);
  });
  return { draw };
}

function drawTicks(ctx, x, left, right, bottom) {
  ctx.textAlign = "center";
  for (const { value, text } of timeTicks(data.from, data.to, (right - left) / 72)) {
    const at = Math.round(x(value)) + 0.5;
    ctx.strokeStyle = theme.grid;
    ctx.beginPath();
    ctx.moveTo(at, STRIP.top);
    ctx.lineTo(at, bottom);
    ctx.stroke();
    ctx.fillStyle = theme.muted;
    if (at > left + 14 && at < right - 14) ctx.fillText(text, at, bottom + 15);
  }
}

// Each pixel takes the colour of the worst open episode, and is the denser the more episodes are open.
function drawStrip(ctx, x, left, right, named) {
  const width = Math.max(1, Math.ceil(right - left));
  const worst = new Uint8Array(width),
    open = new Uint16Array(width);
  for (const lane of data.lanes) {
    for (const episode of lane.episodes) {
      const [from, to] = ends(episode, x).map((at) => Math.min(width - 1, Math.max(0, Math.round(at - left))));
      for (let at = from; at <= Math.max(to, from + 1) && at < width; at++) {
        worst[at] = Math.max(worst[at], episode.suppressed ? 0 : Math.max(1, episode.severity));
        open[at] += 1;
      }
    }
  }
  ctx.fillStyle = theme.grid;
  ctx.fillRect(left, STRIP.top, width, STRIP.bottom - STRIP.top);
  const most = Math.max(...open, 1);
  for (let at = 0; at < width; at++) {
    if (!open[at]) continue;
    ctx.globalAlpha = 0.45 + (0.55 * open[at]) / most;
    ctx.fillStyle = worst[at] ? theme[SEVERITIES[worst[at]]] : theme.muted;
    ctx.fillRect(left + at, STRIP.top, 1.5, STRIP.bottom - STRIP.top);
  }
  ctx.globalAlpha = 1;
  if (named) rowName(ctx, "all lanes", STRIP.bottom - 4, left, theme.ink);
}

function drawRow(ctx, lane, x, top, height, left, right, named) {
  const middle = top + height / 2,
    thick = height * 0.5;
  ctx.fillStyle = theme.grid;
  ctx.fillRect(left, Math.round(middle), right - left, 1);
  ctx.fillStyle = theme.label;
  ctx.globalAlpha = 0.28;
  for (const [from, to] of lane.labels) ctx.fillRect(x(from), top + 1, Math.max(2, x(to) - x(from)), height - 2);
  ctx.globalAlpha = 1;
  if (named) rowName(ctx, lane.name, middle + 3.5, left, theme.muted);
  return lane.episodes.map((episode) => {
    const [from, to] = ends(episode, x);
    const end = Math.max(to, from + 3);
    ctx.fillStyle = colourOf(episode);
    ctx.fillRect(from, middle - thick / 2, end - from, thick);
    return { lane, episode, left: from, right: end, top };
  });
}

const ends = (episode, x) => [x(episode.opened_ms), x(episode.closed_ms ?? data.to)];

function rowName(ctx, name, bottom, left, colour) {
  ctx.textAlign = "right";
  ctx.fillStyle = colour;
  ctx.fillText(shortened(ctx, name, left - 12), left - 8, bottom);
}

// Cut in the middle: the ends of a name tell most.
function shortened(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let kept = text.length;
  const cut = () => `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
  while (kept > 1 && ctx.measureText(cut()).width > width) kept--;
  return cut();
}

function fillWorst(list, open) {
  const all = data.lanes.flatMap((lane) => lane.episodes.map((episode) => ({ lane, episode })));
  const quiet = ({ episode }) => Number(Boolean(episode.suppressed));
  all.sort(
    (a, b) =>
      quiet(a) - quiet(b) || b.episode.severity - a.episode.severity || b.episode.peak_score - a.episode.peak_score,
  );
  for (const { lane, episode } of all.slice(0, 6)) {
    const button = element(
      "button",
      { type: "button" },
      badges(episode)[0],
      element("span", { class: "name" }, lane.name),
      element("small", {}, [`${formatKind(episode.kind)}, ${formatTime(episode.opened_ms)}`, feedbackOn(episode)].filter(Boolean).join(", ")),
    );
    button.addEventListener("click", () => open(lane, episode));
    list.append(element("li", {}, button));
  }
}
