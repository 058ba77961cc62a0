// The list of lanes: search, order, and a sparkline each, drawn when it comes into sight.

const ORDERS = {
  worst: (a, b) => a.number - b.number,
  episodes: (a, b) => b.episodes.length - a.episodes.length || a.number - b.number,
  flagged: (a, b) => b.flagged - a.flagged || a.number - b.number,
  recent: (a, b) => latest(b) - latest(a) || a.number - b.number,
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
};

const latest = (lane) => lane.episodes.at(-1)?.opened_ms ?? -Infinity;

function makeLanes(parts, open) {
  const { list, search, sort, count, none } = parts;
  const rows = data.lanes.map((lane) => laneRow(lane));
  let shown = [],
    current = null;

  const arrange = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = data.lanes.filter((lane) => words.every((word) => lane.name.toLowerCase().includes(word)));
    shown.sort(ORDERS[sort.value]);
    list.replaceChildren(...shown.map((lane) => rows[lane.number]));
    list.hidden = shown.length === 0;
    none.hidden = shown.length > 0;
    const omitted = data.omitted ? `, the worst of ${(data.omitted + data.lanes.length).toLocaleString("en")}` : "";
    count.textContent = `${shown.length === data.lanes.length ? "" : `${shown.length} of `}${data.lanes.length.toLocaleString("en")}${omitted}`;
  };

  const mark = (lane) => {
    if (current) rows[current.number].setAttribute("aria-selected", "false");
    current = lane;
    const row = rows[lane.number];
    row.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", row.id);
    if (row.offsetTop < list.scrollTop) list.scrollTop = row.offsetTop;
    const below = row.offsetTop + row.offsetHeight - list.clientHeight;
    if (below > list.scrollTop) list.scrollTop = below;
  };

  const step = (by) => {
    const at = shown.indexOf(current);
    const next = shown[Math.min(Math.max(at + by, 0), shown.length - 1)];
    if (next && next !== current) open(next);
  };

  const sight = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) drawSpark(entry.target, data.lanes[entry.target.dataset.lane]);
    },
    { root: list, rootMargin: "200px" },
  );
  const drawSparks = () => {
    sight.disconnect();
    for (const row of rows) sight.observe(row.querySelector("canvas"));
  };

  list.tabIndex = 0;
  list.addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]");
    if (row) open(data.lanes[row.dataset.lane], null, true);
  });
  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -shown.length, End: shown.length }[
      event.key
    ];
    if (by !== undefined) {
      event.preventDefault();
      step(by);
    } else if (event.key === "Enter" && current) open(current, null, true);
  });
  search.addEventListener("input", arrange);
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && shown.length) {
      event.preventDefault();
      list.focus();
      open(shown[0]);
    }
  });
  sort.addEventListener("change", arrange);
  arrange();
  drawSparks();
  return { mark, step, redraw: drawSparks };
}

function laneRow(lane) {
  const facts = [];
  if (lane.episodes.length) facts.push(formatCount(lane.episodes.length, "episode"));
  if (lane.flagged) facts.push(`${lane.flagged.toLocaleString("en")} flagged`);
  if (lane.warming === lane.points) facts.push(lane.points ? "still warming up" : "no points");
  else if (!lane.episodes.length) facts.push(`peak score ${formatNumber(lane.peak_score, 3)}`);
  return element(
    "div",
    { role: "option", id: `lane-${lane.number}`, "data-lane": lane.number, "aria-selected": "false", title: lane.name },
    element("span", {
      class: `dot ${SEVERITIES[lane.severity]}`,
      "aria-label": lane.severity ? SEVERITIES[lane.severity] : "quiet",
      role: "img",
    }),
    element("span", { class: "name" }, lane.name),
    element("canvas", { "aria-hidden": "true", "data-lane": lane.number }),
    element("small", {}, facts.join(" · ")),
  );
}

function drawSpark(canvas, lane) {
  const { ctx, width, height } = prepare(canvas);
  if (!lane.pack || width === 0) return;
  const x = linear(lane.pack.start, lane.pack.end, 0, width);
  for (const episode of lane.episodes) {
    const left = x(episode.opened_ms),
      right = x(episode.closed_ms ?? lane.pack.end);
    ctx.globalAlpha = 0.35;
    ctx.fillStyle = colourOf(episode);
    ctx.fillRect(left - 1, 0, Math.max(2.5, right - left), height);
  }
  ctx.globalAlpha = 1;
  const levels = bytesOf(lane.spark);
  const y = linear(0, 254, height - 2, 2),
    slice = width / (levels.length / 2);
  ctx.strokeStyle = theme.observed;
  ctx.lineWidth = 1.1;
  ctx.beginPath();
  let fresh = true;
  for (let i = 0; i < levels.length / 2; i++) {
    const low = levels[2 * i],
      high = levels[2 * i + 1],
      at = (i + 0.5) * slice;
    if (low === 255) fresh = true;
    else {
      if (fresh) ctx.moveTo(at - slice / 2, y(low));
      ctx.lineTo(at, y(low));
      ctx.lineTo(at, y(high));
      fresh = false;
    }
  }
  ctx.stroke();
}
