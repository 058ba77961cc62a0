// One lane: its plot, which goes on while it is looked at, and why an event of it was reported.

const POINTS = 500;

function makeLane(parts, hover) {
  const { title, facts, field, box, canvas, legend, range, hint } = parts;
  const why = makeWhy(parts.why);
  let shown = null, // what was asked for: key, field, event
    lane = null,
    newest = null;

  const plot = makePlot(canvas, ({ view, step }) => {
    const precise = Math.min(step, (view[1] - view[0]) / 100);
    range.textContent = `${formatTime(view[0], precise)} to ${formatTime(view[1], precise)}, ${formatDuration(view[1] - view[0])}`;
  });
  makeInteractive(plot, hover);

  const load = inTurn(async () => {
    const wanted = shown;
    if (!wanted) return;
    const history = await ask("history", { key: wanted.key, field: wanted.field, limit: POINTS });
    if (wanted !== shown) return load();
    draw(history, wanted);
  });

  const show = async (key, name = "", event = null) => {
    shown = { key, field: name, event };
    lane = newest = null;
    title.textContent = name ? laneName(key, name) : key;
    facts.textContent = "";
    if (event) await explain(event);
    else why(null);
    await load();
  };

  const explain = async (event) => {
    const detail = await ask("anomaly", { id: event.id });
    if (shown?.event === event) why(detail && reasonOf(detail));
  };

  const draw = (history, wanted) => {
    const found = history.lanes[0];
    box.hidden = !found || !found.points.time_ms.length;
    if (!found) {
      facts.textContent = "Nothing is known of this key: none of its points came lately.";
      field.hidden = true;
      return;
    }
    fillFields(found);
    wanted.field = found.field;
    title.textContent = laneName(history.key, found.field);
    facts.textContent = factsOf(found, history.anomalies);
    canvas.setAttribute("aria-label", `Plot of ${title.textContent}: ${facts.textContent}`);
    const last = `${found.points.position[0]} ${found.points.position.at(-1)} ${history.anomalies.length}`;
    if (box.hidden || last === newest) return;
    newest = last;
    const whole = !lane || (plot.view[0] === plot.full[0] && plot.view[1] === plot.full[1]);
    const following = lane && plot.view[1] === plot.full[1];
    const view = [...plot.view];
    const points = pointsFrom(found.points);
    const episodes = episodesFrom(history.anomalies).filter((one) => (one.closed_ms ?? Infinity) >= points.time[0]);
    for (const one of episodes) one.opened_ms = Math.max(one.opened_ms, points.time[0]);
    lane = { key: history.key, field: found.field, episodes, labels: [], severity: worstOf(points, episodes) };
    plot.show(lane, points);
    if (whole) plot.reset();
    else if (following) plot.zoom(plot.full[1] - (view[1] - view[0]), plot.full[1]);
    else plot.zoom(...view);
    fillLegend(legend, lane);
  };

  const fillFields = (found) => {
    field.hidden = found.lanes.length < 2;
    if (field.options.length !== found.lanes.length || field.options[0]?.value !== found.lanes[0])
      field.replaceChildren(...found.lanes.map((name) => element("option", { value: name }, fieldName(name))));
    field.value = found.field;
  };

  field.addEventListener("change", () => show(shown.key, field.value));
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
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  hint.textContent = matchMedia("(pointer: coarse)").matches
    ? "Drag to move, pinch to zoom, tap a point to read it."
    : "Drag to zoom, Shift and drag or ← → to move, Ctrl and wheel or + − to zoom, 0 or double click for all.";
  const redraw = () => {
    plot.overview = null;
    plot.redraw();
    if (lane) fillLegend(legend, lane);
  };
  return { plot, show, load, redraw, key: () => shown?.key };
}

const worstOf = (points, episodes) =>
  Math.max(0, ...points.flagged.map((i) => points.severity[i]), ...episodes.map((one) => one.severity));

function factsOf({ topic, partition, now, points }, events) {
  const facts = [`${topic}/${partition}`];
  if (now) {
    facts.push(PHASE_TOLD[now.phase], formatCount(now.points, "point"));
    if (now.episode_ms !== null) facts.push(`in an episode since ${formatTime(now.episode_ms)}`);
    facts.push(`newest ${formatTime(now.newest_ms, SECOND)}`);
  } else facts.push("its state is not told just now");
  if (!points.time_ms.length) facts.push("no points kept");
  if (events.length) facts.push(formatCount(events.length, "event"));
  return facts.join(" · ");
}
