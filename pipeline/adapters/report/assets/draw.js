// Draws columns of points on a canvas: a path never has more than a few steps per pixel, however many points there are.

let theme = {};

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const names = [
    "card",
    "ink",
    "muted",
    "grid",
    "observed",
    "score",
    "expected",
    "band",
    "label",
    "warming",
    "accent",
    ...SEVERITIES.slice(1),
  ];
  theme = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  theme.font = `11px ${style.getPropertyValue("--sans")}`;
}

const colourOf = ({ severity, suppressed }) => theme[suppressed ? "muted" : SEVERITIES[Math.max(1, severity)]];

// A context in CSS pixels, cleared, on a canvas as sharp as the screen.
function prepare(canvas) {
  const width = canvas.clientWidth,
    height = canvas.clientHeight,
    ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.font = theme.font;
  return { ctx, width, height };
}

function inside(ctx, area, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
  ctx.clip();
  draw();
  ctx.restore();
}

// Calls add(pixel, low, high, last, fresh) once per pixel column; `fresh` after a gap. `high` may be a column of its own.
function eachColumn(points, span, x, lows, highs, add) {
  const dense = span.to - span.from > 2 * Math.abs(x(span.end) - x(span.start));
  let pixel,
    edge,
    low,
    high,
    last,
    fresh = true,
    open = false;
  const flush = () => {
    if (open) add(pixel, low, high, last, fresh);
    fresh = open ? false : fresh;
    open = false;
  };
  for (let i = span.from; i < span.to; i++) {
    const bottom = lows[i],
      top = highs[i];
    if (!Number.isFinite(bottom) || !Number.isFinite(top)) {
      flush();
      fresh = true;
      continue;
    }
    if (!open || points.time[i] >= edge || points.gap[i]) {
      flush();
      if (points.gap[i]) fresh = true;
      const exact = x(points.time[i]);
      pixel = dense ? Math.floor(exact) + 0.5 : exact;
      edge = dense ? x.invert(pixel + 0.5) : -Infinity;
      [low, high, open] = [bottom, top, true];
    } else {
      if (bottom < low) low = bottom;
      if (top > high) high = top;
    }
    last = top;
  }
  flush();
}

function drawLine(ctx, points, span, values, x, y) {
  ctx.beginPath();
  eachColumn(points, span, x, values, values, (pixel, low, high, last, fresh) => {
    if (fresh) ctx.moveTo(pixel - 0.4, y(low)); // a point between two gaps is still seen
    ctx.lineTo(pixel, y(low));
    if (high !== low) ctx.lineTo(pixel, y(high));
    ctx.lineTo(pixel, y(last));
  });
  ctx.stroke();
}

function drawBand(ctx, points, span, x, y) {
  let edge = [];
  const fill = () => {
    ctx.beginPath();
    edge.forEach(([pixel, low]) => ctx.lineTo(pixel, y(low)));
    edge.reverse().forEach(([pixel, , high]) => ctx.lineTo(pixel, y(high)));
    ctx.fill();
    edge = [];
  };
  eachColumn(points, span, x, points.lower, points.upper, (pixel, low, high, last, fresh) => {
    if (fresh) fill();
    edge.push([pixel, low, high]);
  });
  fill();
}

// The lowest and highest finite numbers of a column; null when there are none.
function extent(values, span) {
  let low = Infinity,
    high = -Infinity;
  for (let i = span.from; i < span.to; i++) {
    const value = values[i];
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  }
  return low <= high ? [low, high] : null;
}

// Shape and colour both tell the severity.
function drawMarker(ctx, severity, x, y, size) {
  ctx.beginPath();
  if (severity <= 1) ctx.arc(x, y, size * 0.85, 0, 7);
  else if (severity === 2)
    polygon(ctx, x, y, [
      [0, -size * 1.1],
      [size, size * 0.8],
      [-size, size * 0.8],
    ]);
  else if (severity === 3)
    polygon(ctx, x, y, [
      [0, -size * 1.2],
      [size * 1.2, 0],
      [0, size * 1.2],
      [-size * 1.2, 0],
    ]);
  else
    polygon(ctx, x, y, [
      [-size, -size],
      [size, -size],
      [size, size],
      [-size, size],
    ]);
  ctx.fillStyle = theme[SEVERITIES[severity]];
  ctx.strokeStyle = theme.card;
  ctx.lineWidth = 1;
  ctx.fill();
  ctx.stroke();
}

function polygon(ctx, x, y, corners) {
  for (const [dx, dy] of corners) ctx.lineTo(x + dx, y + dy);
  ctx.closePath();
}

function hatch(ctx, left, top, right, bottom, colour) {
  inside(ctx, { left, top, right, bottom }, () => {
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1;
    ctx.beginPath();
    const height = bottom - top;
    for (let at = left - height - ((left - height) % 7); at < right; at += 7) {
      ctx.moveTo(at, bottom);
      ctx.lineTo(at + height, top);
    }
    ctx.stroke();
  });
}
