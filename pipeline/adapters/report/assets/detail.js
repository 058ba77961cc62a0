// One lane in full: its title, counts, plot and table of episodes.

function makeDetail(parts, why, hover) {
  const { title, counts, legend, range, hint, table, none, canvas } = parts;
  let lane = null, // chosen
    drawn = null, // the lane whose points have been unpacked and drawn
    chosen = null,
    latest = null;

  const plot = makePlot(canvas, ({ view, step }) => {
    const precise = Math.min(step, (view[1] - view[0]) / 100);
    range.textContent = `${formatTime(view[0], precise)} to ${formatTime(view[1], precise)}, ${formatDuration(view[1] - view[0])}`;
  });
  makeInteractive(plot, hover);

  const choose = (episode) => {
    chosen = episode;
    why(episode);
    for (const row of table.rows) row.classList.toggle("chosen", lane.episodes[row.dataset.episode] === episode);
    if (episode) plot.zoomToEpisode(episode);
  };

  const stepEpisode = (by) => {
    if (drawn !== lane || lane.episodes.length === 0) return;
    const at = lane.episodes.indexOf(chosen);
    const next = at < 0 ? (by > 0 ? 0 : lane.episodes.length - 1) : at + by;
    choose(lane.episodes[Math.min(Math.max(next, 0), lane.episodes.length - 1)]);
  };

  const show = async (next, episode = null) => {
    const call = (latest = {});
    if (next !== lane) {
      lane = next;
      fillHead();
    }
    const points = await pointsOf(next);
    if (call !== latest) return; // something else was chosen meanwhile
    if (drawn !== next) {
      drawn = next;
      fillTable(points);
      plot.show(next, points);
    }
    choose(episode);
    if (!episode) plot.reset();
  };

  const fillHead = () => {
    title.textContent = lane.name;
    if (lane.severity) title.append(" ", severityBadge(lane.severity));
    const facts = [formatCount(lane.points, "point")];
    if (lane.warming)
      facts.push(
        lane.warming === lane.points ? "all while warming up" : `${lane.warming.toLocaleString("en")} while warming up`,
      );
    facts.push(`${lane.flagged.toLocaleString("en")} flagged`, formatCount(lane.episodes.length, "episode"));
    if (lane.peak_score !== null) facts.push(`peak score ${formatNumber(lane.peak_score, 3)}`);
    if (lane.labels.length) facts.push(formatCount(lane.labels.length, "labelled window"));
    counts.textContent = facts.join(" · ");
    canvas.setAttribute("aria-label", `Plot of ${lane.name}: ${facts.join(", ")}`);
    fillLegend(legend, lane);
  };

  const fillTable = (points) => {
    table.replaceChildren(
      ...lane.episodes.map((episode, number) => episodeRow(episode, number, peakOf(points, episode), choose)),
    );
    table.parentElement.hidden = lane.episodes.length === 0;
    none.hidden = lane.episodes.length > 0;
    none.textContent =
      lane.points && lane.warming === lane.points
        ? "None: nothing is flagged while a lane is warming up."
        : "None: this lane behaved as it always has.";
  };

  canvas.addEventListener("keydown", (event) => {
    const length = plot.view[1] - plot.view[0];
    const act = {
      ArrowLeft: () => plot.pan(-length / 5),
      ArrowRight: () => plot.pan(length / 5),
      "+": () => plot.zoomBy(0.5),
      "=": () => plot.zoomBy(0.5),
      "-": () => plot.zoomBy(2),
      0: plot.reset,
      Escape: plot.reset,
      n: () => stepEpisode(1),
      p: () => stepEpisode(-1),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  hint.textContent = matchMedia("(pointer: coarse)").matches
    ? "Drag to move, pinch to zoom, tap a point to read it."
    : "Drag to zoom, Shift and drag or ← → to move, Ctrl and wheel or + − to zoom, 0 or double click for all, n p for episodes.";
  return {
    plot,
    show,
    stepEpisode,
    redraw: () => {
      plot.overview = null;
      plot.redraw();
      if (lane) fillLegend(legend, lane);
    },
  };
}

// What was seen where the score of an episode was highest; null for a silence, which has no points.
function peakOf(points, episode) {
  if (episode.kind === "silence") return null;
  let peak = null;
  const end = episode.closed_ms ?? Infinity;
  for (let i = indexAt(points.time, episode.opened_ms); i < points.count && points.time[i] <= end; i++) {
    if (Number.isFinite(points.score[i]) && (peak === null || points.score[i] > points.score[peak])) peak = i;
  }
  return peak === null
    ? null
    : { observed: points.value[peak], expected: points.expected[peak], score: points.score[peak] };
}

function episodeRow(episode, number, peak, choose) {
  const { observed, expected } = peak ?? episode;
  const opened = element("button", { type: "button", class: "link" }, formatTime(episode.opened_ms));
  const length =
    episode.closed_ms === null
      ? "still open"
      : `${formatTime(episode.closed_ms)} (${formatDuration(episode.closed_ms - episode.opened_ms)})`;
  const row = element(
    "tr",
    { "data-episode": number },
    cell("Opened", [opened]),
    cell("Closed", [length]),
    cell("Kind", [formatKind(episode.kind)]),
    cell("Severity", badges(episode)),
    cell("Peak score", [formatNumber(episode.peak_score ?? peak?.score ?? null, 3)], "number"),
    cell("Observed", [formatNumber(observed)], "number"),
    cell("Expected", [formatNumber(expected)], "number"),
    cell("What stood out", reasons(episode)),
  );
  row.addEventListener("click", () => choose(episode));
  return row;
}

// A narrow screen has no head of the table and shows the name beside each cell.
const cell = (name, content, kind = "") => element("td", { "data-name": name, class: kind }, ...content);

function reasons(episode) {
  const { shares, streams } = episode;
  const said = [];
  if (shares.length > 1)
    said.push(
      element(
        "span",
        {},
        shares
          .slice(0, 4)
          .map(([name, share]) => `${name} ${Math.round(share * 100)} %`)
          .join(", "),
      ),
    );
  const told = sentence(episode) || streams.slice(0, 4).map(([name]) => labelOf(name)).join(", ");
  if (told) said.push(element("small", { class: "told" }, told));
  return said;
}

function fillLegend(legend, lane) {
  const line = (colour, dash) => (ctx) => {
    ctx.strokeStyle = theme[colour];
    ctx.lineWidth = 1.5;
    ctx.setLineDash(dash);
    ctx.strokeRect(-5, 6, 40, 40);
  };
  const items = [
    ["observed", line("observed", [])],
    ["expected", line("expected", [4, 3])],
  ];
  items.push([
    "band",
    (ctx) => {
      ctx.fillStyle = theme.band;
      ctx.fillRect(0, 1, 18, 10);
    },
  ]);
  if (lane.labels.length) items.push(["labelled", (ctx) => hatch(ctx, 0, 1, 18, 11, theme.label)]);
  for (let severity = 1; severity <= lane.severity; severity++)
    items.push([SEVERITIES[severity], (ctx) => drawMarker(ctx, severity, 9, 6, 4.5)]);
  legend.replaceChildren(
    ...items.map(([name]) => element("span", {}, element("canvas", { "aria-hidden": "true" }), name)),
  );
  items.forEach(([, draw], number) => draw(prepare(legend.children[number].firstChild).ctx));
}
