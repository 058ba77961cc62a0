// The parts around the plot's values: axes, flagged points, score, cursor, and the whole range at the foot.

function drawNumberAxis(ctx, area, y, low, high, most) {
  ctx.strokeStyle = theme.grid;
  ctx.fillStyle = theme.muted;
  ctx.lineWidth = 1;
  ctx.textAlign = "right";
  for (const { value, text } of numberTicks(low, high, most)) {
    const at = Math.round(y(value)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(area.left, at);
    ctx.lineTo(area.right, at);
    ctx.stroke();
    ctx.fillText(text, area.left - 7, at + 3.5, area.left - 8);
  }
}

function drawTimeAxis(ctx, plot, { main, score, x }) {
  ctx.fillStyle = theme.muted;
  ctx.strokeStyle = theme.grid;
  ctx.textAlign = "center";
  for (const { value, text } of timeTicks(...plot.view, (score.right - score.left) / 72)) {
    const at = Math.round(x(value)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(at, main.bottom);
    ctx.lineTo(at, main.bottom + 4);
    ctx.moveTo(at, score.bottom);
    ctx.lineTo(at, score.bottom + 4);
    ctx.stroke();
    if (at > score.left + 8 && at < score.right - 12) ctx.fillText(text, at, score.bottom + 16);
  }
}

function drawFlagged(ctx, points, span, x, y) {
  const drawn = new Set();
  const first = indexAt(points.flagged, span.from),
    after = indexAt(points.flagged, span.to);
  const near = (a, b) => b !== undefined && Math.abs(x(points.time[a]) - x(points.time[b])) < 7;
  for (let at = first; at < after; at++) {
    const i = points.flagged[at],
      left = x(points.time[i]),
      top = y(i);
    const place = `${Math.round(left / 4)} ${Math.round(top / 4)} ${points.severity[i]}`;
    if (points.time[i] < span.start || points.time[i] > span.end || !Number.isFinite(top) || drawn.has(place)) continue;
    drawn.add(place);
    const crowded = near(i, points.flagged[at - 1]) || near(i, points.flagged[at + 1]);
    drawMarker(ctx, points.severity[i], left, top, crowded ? 3 : 4.5);
  }
}

function drawScore(ctx, plot, { score, x }, span) {
  const { points } = plot;
  const seen = extent(points.score, span),
    line = extent(points.threshold, span);
  const high = Math.max(seen ? seen[1] : 0, line ? line[1] * 1.15 : 0) || 1;
  const low = Math.min(0, seen ? seen[0] : 0);
  const y = linear(low, high, score.bottom, score.top + 4);
  drawNumberAxis(ctx, score, y, low, high, 2);
  inside(ctx, score, () => {
    ctx.strokeStyle = theme.score;
    ctx.lineWidth = 1.1;
    drawLine(ctx, points, span, points.score, x, y);
    ctx.strokeStyle = theme.high;
    ctx.lineWidth = 1.5;
    ctx.setLineDash([2, 3]);
    drawLine(ctx, points, span, points.threshold, x, y);
    ctx.setLineDash([]);
    for (const i of points.flagged) {
      if (i < span.from || i >= span.to) continue;
      ctx.fillStyle = theme[SEVERITIES[points.severity[i]]];
      ctx.fillRect(x(points.time[i]) - 1.5, y(points.score[i]) - 1.5, 3, 3);
    }
  });
  ctx.fillStyle = theme.muted;
  ctx.textAlign = "left";
  ctx.fillText("score, its threshold dotted", score.left + 4, score.top - 2);
}

function drawCursor(ctx, plot, main, x, y) {
  if (plot.selection) {
    const [from, to] = plot.selection;
    ctx.globalAlpha = 0.15;
    ctx.fillStyle = theme.accent;
    ctx.fillRect(Math.min(from, to), main.top, Math.abs(to - from), plot.layout.score.bottom - main.top);
    ctx.globalAlpha = 1;
  }
  if (plot.cursor === null) return;
  const at = x(plot.points.time[plot.cursor]);
  ctx.strokeStyle = theme.muted;
  ctx.globalAlpha = 0.6;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(at, main.top);
  ctx.lineTo(at, plot.layout.score.bottom);
  ctx.stroke();
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme.observed;
  ctx.beginPath();
  ctx.arc(at, y(plot.points.value[plot.cursor]), 3, 0, 7);
  ctx.fill();
}

function drawFoot(ctx, plot, { foot, whole }) {
  plot.overview ??= overviewOf(plot, foot, whole);
  ctx.drawImage(plot.overview, 0, foot.top, plot.overview.width / devicePixelRatio, foot.bottom - foot.top);
  const [left, right] = plot.view.map(whole);
  ctx.fillStyle = theme.card;
  ctx.globalAlpha = 0.7;
  ctx.fillRect(foot.left, foot.top, left - foot.left, foot.bottom - foot.top);
  ctx.fillRect(right, foot.top, foot.right - right, foot.bottom - foot.top);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = theme.accent;
  ctx.strokeRect(left + 0.5, foot.top + 0.5, Math.max(2, right - left - 1), foot.bottom - foot.top - 1);
  ctx.fillStyle = theme.accent;
  for (const edge of [left, right]) ctx.fillRect(edge - 2, (foot.top + foot.bottom) / 2 - 7, 4, 14);
}

// The whole range is drawn once per lane and size; only the frame on it moves.
function overviewOf(plot, foot, whole) {
  const overview = document.createElement("canvas");
  const height = foot.bottom - foot.top;
  overview.width = Math.round((foot.right + 10) * devicePixelRatio);
  overview.height = Math.round(height * devicePixelRatio);
  const ctx = overview.getContext("2d");
  ctx.scale(devicePixelRatio, devicePixelRatio);
  const span = spanOf(plot.points, plot.full);
  for (const episode of plot.lane.episodes) {
    const left = whole(episode.opened_ms),
      right = whole(episode.closed_ms ?? plot.full[1]);
    ctx.fillStyle = colourOf(episode);
    ctx.globalAlpha = 0.3;
    ctx.fillRect(left - 1, 0, Math.max(3, right - left), height);
  }
  ctx.globalAlpha = 1;
  const range = extent(plot.points.value, span);
  if (range) {
    ctx.strokeStyle = theme.observed;
    ctx.lineWidth = 1;
    drawLine(ctx, plot.points, span, plot.points.value, whole, linear(...range, height - 4, 4));
  }
  return overview;
}
