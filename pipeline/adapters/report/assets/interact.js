// Mouse, touch and keys on a plot. Drag selects a stretch to zoom to, shift and drag pans; on a touch screen one finger
// pans and two fingers zoom. The frame at the foot can be moved and its edges pulled.

function makeInteractive(plot, tip) {
  const { canvas } = plot;
  const pointers = new Map();
  let drag = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const timeAt = (pixel) => plot.layout.x.invert(pixel);

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !plot.layout) return;
    const at = place(event);
    pointers.set(event.pointerId, at);
    canvas.setPointerCapture(event.pointerId);
    const view = [...plot.view];
    if (pointers.size === 2) drag = { kind: "pinch", view, from: [...pointers.values()].map((pointer) => pointer.x) };
    else if (at.y >= plot.layout.foot.top - 4) drag = { kind: footKind(plot, at.x), view, from: at.x };
    else if (event.pointerType === "touch" || event.shiftKey) drag = { kind: "pan", view, from: at.x };
    else drag = { kind: "select", from: at.x };
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!plot.layout) return;
    const at = place(event);
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, at);
    if (drag) moveDrag(plot, drag, at.x, pointers);
    canvas.style.cursor = at.y >= plot.layout.foot.top - 4 ? "grab" : "crosshair";
    showTip(plot, tip, drag === null && at.y < plot.layout.foot.top ? at : null);
  });

  const end = (event) => {
    const at = place(event);
    if (drag?.kind === "select" && event.type === "pointerup" && Math.abs(at.x - drag.from) > 4) {
      plot.zoom(...[timeAt(drag.from), timeAt(at.x)].sort((a, b) => a - b));
    }
    pointers.delete(event.pointerId);
    drag = null;
    plot.selection = null;
    plot.redraw();
    if (event.pointerType === "touch" && event.type === "pointerup") showTip(plot, tip, at);
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && showTip(plot, tip, null));
  addEventListener("scroll", () => showTip(plot, tip, null), { passive: true });
  canvas.addEventListener("dblclick", plot.reset);

  canvas.addEventListener(
    "wheel",
    (event) => {
      const along = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!event.ctrlKey && !event.metaKey && !along) return; // the page scrolls
      event.preventDefault();
      if (along) plot.pan(((plot.view[1] - plot.view[0]) * event.deltaX) / canvas.clientWidth);
      else plot.zoomBy(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.008), timeAt(place(event).x));
    },
    { passive: false },
  );
}

function footKind(plot, pixel) {
  const [left, right] = plot.view.map(plot.layout.whole);
  if (Math.abs(pixel - left) < 8) return "left";
  if (Math.abs(pixel - right) < 8) return "right";
  return pixel > left && pixel < right ? "frame" : "frame-select";
}

function moveDrag(plot, drag, pixel, pointers) {
  const { whole } = plot.layout;
  const [from, to] = drag.view ?? [];
  const moved = whole.invert(pixel) - whole.invert(drag.from);
  if (drag.kind === "select") {
    plot.selection = [drag.from, pixel];
    plot.redraw();
  } else if (drag.kind === "pan") {
    const shift = ((from - to) * (pixel - drag.from)) / (plot.layout.main.right - plot.layout.main.left);
    plot.pan(from + shift - plot.view[0]);
  } else if (drag.kind === "frame") plot.pan(from + moved - plot.view[0]);
  else if (drag.kind === "left") plot.zoom(Math.min(whole.invert(pixel), to - plot.step), to);
  else if (drag.kind === "right") plot.zoom(from, Math.max(whole.invert(pixel), from + plot.step));
  else if (drag.kind === "frame-select")
    plot.zoom(...[whole.invert(drag.from), whole.invert(pixel)].sort((a, b) => a - b));
  else if (drag.kind === "pinch" && pointers.size === 2)
    pinch(
      plot,
      drag,
      [...pointers.values()].map((at) => at.x),
    );
}

function pinch(plot, drag, [a, b]) {
  const before = linear(...drag.view, plot.layout.main.left, plot.layout.main.right);
  const [from, to] = drag.from.map((pixel) => before.invert(pixel));
  if (Math.abs(a - b) < 20) return;
  const after = linear(a, b, from, to); // the times under the fingers stay under them
  plot.zoom(after(plot.layout.main.left), after(plot.layout.main.right));
}

const PHASES = ["warming", "provisional", "live", "stale"];

function showTip(plot, tip, at) {
  const { points } = plot;
  const time = at && plot.layout.x.invert(at.x);
  if (at === null || points.count === 0 || time < plot.view[0] || time > plot.view[1]) {
    tip.hidden = true;
    if (plot.cursor !== null) plot.redraw();
    plot.cursor = null;
    return;
  }
  let i = Math.min(indexAt(points.time, time), points.count - 1);
  if (i > 0 && time - points.time[i - 1] < points.time[i] - time) i--;
  if (plot.cursor !== i) {
    plot.cursor = i;
    plot.redraw();
    tip.replaceChildren(...tipRows(plot, i));
  }
  tip.hidden = false;
  const box = plot.canvas.getBoundingClientRect();
  moveTip(tip, box.left + plot.layout.x(points.time[i]), box.top + at.y);
}

function tipRows(plot, i) {
  const { points } = plot;
  const rows = [["observed", formatNumber(points.value[i])]];
  if (Number.isFinite(points.expected[i])) {
    rows.push(["expected", formatNumber(points.expected[i])]);
    rows.push(["band", `${formatNumber(points.lower[i])} to ${formatNumber(points.upper[i])}`]);
  }
  if (Number.isFinite(points.score[i]))
    rows.push(["score", `${formatNumber(points.score[i], 3)}, threshold ${formatNumber(points.threshold[i], 3)}`]);
  if (points.phase[i] !== 2) rows.push(["phase", PHASES[points.phase[i]]]);
  const head = element("b", {}, formatTime(points.time[i], plot.step));
  const severity = points.severity[i] ? [severityBadge(points.severity[i])] : [];
  return [
    head,
    ...severity,
    element("dl", {}, ...rows.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)])),
  ];
}

// Beside the point, and always on the screen.
function moveTip(tip, left, top) {
  const fits = left + 16 + tip.offsetWidth < innerWidth;
  tip.style.left = `${Math.max(6, fits ? left + 14 : left - 14 - tip.offsetWidth)}px`;
  tip.style.top = `${Math.max(6, Math.min(top - tip.offsetHeight - 10, innerHeight - tip.offsetHeight - 6))}px`;
}
