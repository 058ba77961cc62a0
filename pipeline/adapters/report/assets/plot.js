// The plot of one lane: values with their band, the score under them, and the whole range to move about in at the foot.

const ZOOM_POINTS = 60; // points of context on both sides of an episode that is zoomed to
const CAPTIONS = 12; // more names than that above the plot tell nothing

function makePlot(canvas, onRange) {
  const plot = {
    canvas,
    lane: null,
    points: emptyPoints(),
    full: [0, 1],
    view: [0, 1],
    cursor: null,
    selection: null,
    overview: null,
  };

  plot.show = (lane, points) => {
    const times = [points.time[0], points.time[points.count - 1]].filter((time) => time !== undefined);
    for (const episode of lane.episodes) times.push(episode.opened_ms, episode.closed_ms ?? episode.opened_ms);
    const from = Math.min(...times),
      to = Math.max(...times);
    const margin = to > from ? 0 : MINUTE;
    Object.assign(plot, { lane, points, cursor: null, selection: null, overview: null });
    plot.full = times.length ? [from - margin, to + margin] : [data.from, data.to];
    plot.step = points.count > 1 ? (to - from) / (points.count - 1) : MINUTE;
  };

  plot.zoom = (from, to) => {
    const [first, last] = plot.full;
    const length = Math.min(Math.max(to - from, Math.min(10 * plot.step, last - first)), last - first);
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(middle - length / 2, first), last - length);
    plot.view = [start, start + length];
    onRange(plot);
    plot.redraw();
  };

  plot.zoomBy = (factor, around = (plot.view[0] + plot.view[1]) / 2) => {
    const [from, to] = plot.view;
    plot.zoom(around - (around - from) * factor, around + (to - around) * factor);
  };

  plot.pan = (ms) => {
    const [from, to] = plot.view;
    const shift = Math.min(Math.max(ms, plot.full[0] - from), plot.full[1] - to);
    plot.zoom(from + shift, to + shift);
  };

  plot.reset = () => plot.zoom(...plot.full);

  plot.zoomToEpisode = (episode) => {
    const end = episode.closed_ms ?? plot.full[1];
    const margin = Math.max((end - episode.opened_ms) * 0.6, ZOOM_POINTS * plot.step);
    plot.zoom(episode.opened_ms - margin, end + margin);
  };

  let waiting = false;
  plot.redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      drawPlot(plot);
    });
  };
  return plot;
}

function layoutOf(plot, width, height) {
  const left = width < 520 ? 42 : 58,
    right = width - 10;
  const foot = { left, right, top: height - 38, bottom: height - 4 };
  const score = { left, right, top: foot.top - 86, bottom: foot.top - 26 };
  const main = { left, right, top: 18, bottom: score.top - 12 };
  return { main, score, foot, x: linear(...plot.view, left, right), whole: linear(...plot.full, left, right) };
}

// The points in view and one more on either side, so that lines reach the edges.
function spanOf(points, [start, end]) {
  const from = Math.max(0, indexAt(points.time, start) - 1);
  return { start, end, from, to: Math.min(points.count, indexAt(points.time, end) + 1) };
}

function drawPlot(plot) {
  const { ctx, width, height } = prepare(plot.canvas);
  if (width === 0 || plot.lane === null) return;
  const layout = (plot.layout = layoutOf(plot, width, height));
  const span = spanOf(plot.points, plot.view);
  drawMain(ctx, plot, layout, span);
  drawScore(ctx, plot, layout, span);
  drawTimeAxis(ctx, plot, layout);
  drawFoot(ctx, plot, layout);
}

function drawMain(ctx, plot, { main, x }, span) {
  const { points, lane } = plot;
  const [low, high] = valueRange(points, span);
  const y = linear(low, high, main.bottom, main.top);
  drawSpans(ctx, plot, main, x, span);
  drawNumberAxis(ctx, main, y, low, high, 6);
  inside(ctx, main, () => {
    ctx.fillStyle = theme.band;
    drawBand(ctx, points, span, x, y);
    ctx.lineJoin = "round";
    ctx.strokeStyle = theme.expected;
    ctx.lineWidth = 1.25;
    ctx.setLineDash([4, 3]);
    drawLine(ctx, points, span, points.expected, x, y);
    ctx.setLineDash([]);
    ctx.strokeStyle = theme.observed;
    ctx.lineWidth = span.to - span.from > main.right - main.left ? 1 : 1.5;
    drawLine(ctx, points, span, points.value, x, y);
  });
  drawFlagged(ctx, points, span, x, (i) => y(Number.isFinite(points.value[i]) ? points.value[i] : points.expected[i]));
  drawCursor(ctx, plot, main, x, y);
  if (points.count === 0) {
    ctx.textAlign = "center";
    ctx.fillStyle = theme.muted;
    ctx.fillText(`No points of ${lane.field} to draw`, (main.left + main.right) / 2, (main.top + main.bottom) / 2);
  }
}

// Values and what was expected fill the plot; a wide band may take a quarter more on either side, lest it flatten them.
function valueRange(points, span) {
  const ends = [extent(points.value, span), extent(points.expected, span)].filter(Boolean).flat();
  if (ends.length === 0) return [0, 1];
  let low = Math.min(...ends),
    high = Math.max(...ends);
  const room = (high - low || Math.abs(high) * 0.1 || 1) / 4;
  const lower = extent(points.lower, span),
    upper = extent(points.upper, span);
  low = Math.max(low - room, Math.min(low, lower ? lower[0] : low));
  high = Math.min(high + room, Math.max(high, upper ? upper[1] : high));
  const margin = (high - low || room) * 0.07;
  return [low - margin, high + margin];
}

function drawSpans(ctx, plot, area, x, span) {
  const { points, lane } = plot;
  for (let i = span.from; i < span.to; i++) {
    if (points.phase[i] !== 0) continue;
    let end = i;
    while (end + 1 < span.to && points.phase[end + 1] === 0) end++;
    const [left, right] = clipped(area, x(points.time[i]), x(points.time[Math.min(end + 1, points.count - 1)]));
    hatch(ctx, left, area.top, right, area.bottom, theme.warming);
    caption(ctx, "warm-up", left + 4, area.bottom - 6, right, theme.muted);
    i = end;
  }
  for (const [from, to] of lane.labels) drawLabel(ctx, area, ...clipped(area, x(from), x(to)));
  for (const episode of lane.episodes) {
    const [left, right] = clipped(area, x(episode.opened_ms), x(episode.closed_ms ?? plot.full[1]), 3);
    if (right <= left) continue;
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = colourOf(episode);
    ctx.fillRect(left, area.top, right - left, area.bottom - area.top);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, area.top - 3, right - left, 3);
  }
  captionEpisodes(ctx, plot, area, x);
}

// Names above the spans, as many as fit side by side, the worst ones first.
function captionEpisodes(ctx, plot, area, x) {
  const taken = [];
  ctx.textAlign = "left";
  const inView = plot.lane.episodes.filter(
    (episode) => episode.opened_ms < plot.view[1] && (episode.closed_ms ?? plot.full[1]) > plot.view[0],
  );
  if (inView.length > CAPTIONS) return;
  for (const episode of inView.sort((a, b) => b.severity - a.severity)) {
    const [left, right] = clipped(area, x(episode.opened_ms), x(episode.closed_ms ?? plot.full[1]), 3);
    if (right <= left) continue;
    const text = formatKind(episode.kind),
      width = ctx.measureText(text).width;
    const at = Math.min(left, area.right - width);
    if (taken.some(([from, to]) => at < to + 8 && at + width > from - 8)) continue;
    taken.push([at, at + width]);
    ctx.fillStyle = theme.muted;
    ctx.fillText(text, at, area.top - 7);
  }
}

function clipped(area, left, right, least = 0) {
  if (right < area.left || left > area.right) return [0, 0];
  const short = Math.max(0, least - (right - left)) / 2;
  return [Math.max(area.left, left - short), Math.min(area.right, right + short)];
}

function caption(ctx, text, left, bottom, right, colour) {
  if (ctx.measureText(text).width + 8 > right - left) return;
  ctx.textAlign = "left";
  ctx.fillStyle = colour;
  ctx.fillText(text, left, bottom);
}

function drawLabel(ctx, area, left, right) {
  if (right <= left) return;
  ctx.setLineDash([3, 3]);
  ctx.strokeStyle = theme.label;
  ctx.lineWidth = 1;
  ctx.strokeRect(left + 0.5, area.top + 0.5, right - left - 1, area.bottom - area.top - 1);
  ctx.setLineDash([]);
  hatch(ctx, left, area.bottom - 7, right, area.bottom, theme.label);
  caption(ctx, "labelled", left + 4, area.bottom - 12, right, theme.label);
}
