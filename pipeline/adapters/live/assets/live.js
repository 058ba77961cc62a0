// Asks every second how things are, and the rest only where something has changed; while nobody looks, nothing.

const EVERY_MS = 1000;
const KEYS_EVERY = 5, // rounds
  MODELS_EVERY = 10,
  LANE_EVERY = 2;

function start() {
  readTheme();
  const fillTiles = makeTiles(part("tiles"));
  const ids = ["box", "title", "reason", "horizons", "table", "fields"];
  const why = Object.fromEntries(
    ids.map((id) => [id, part({ box: "why", table: "why-streams" }[id] ?? `why-${id}`)]),
  );
  const lane = makeLane(
    {
      title: part("lane-title"),
      facts: part("lane-facts"),
      field: part("field"),
      box: part("lane"),
      canvas: part("plot"),
      legend: part("legend"),
      range: part("plot-range"),
      hint: part("plot-hint"),
      why,
    },
    part("hover"),
  );
  const networks = {
    facts: part("models-facts"),
    waiting: part("waiting"),
    trainings: part("trainings"),
    events: part("models"),
  };
  const toDetail = () => {
    const top = part("detail").getBoundingClientRect().top;
    if (top < 0 || top > innerHeight / 2) part("detail").scrollIntoView({ block: "start" });
  };
  const events = makeEvents(
    { list: part("events"), none: part("events-none"), severity: part("severity"), announce: part("announce") },
    (event, byHand) => {
      if (!byHand && lane.key()) return; // somebody has found a key meanwhile
      events.mark(event.id);
      keys.mark(event.key);
      lane.show(event.key, event.field, event).catch(lost);
      if (byHand) toDetail();
    },
  );
  const keys = makeKeys({ search: part("search"), list: part("keys"), count: part("keys-count") }, (key) => {
    events.mark(null);
    keys.mark(key);
    lane.show(key).catch(lost);
    toDetail();
  });

  let round = 0,
    mark = null,
    last = null,
    paused = false;

  const paces = () => {
    drawPace(part("pace"), last?.history ?? [], last?.now_ms ?? Date.now(), "records_per_s", "records a second", "observed");
    drawPace(part("lag"), last?.history ?? [], last?.now_ms ?? Date.now(), "lag_records", "records behind", "expected");
  };

  const setState = (text, kind) => {
    setText(part("state"), text);
    part("state").className = `state ${kind}`;
  };
  const tellReason = (text) => {
    setText(part("reason"), text);
    part("reason").hidden = !text;
  };
  const lost = () => {
    setState("No answer", "away");
    if (last) tellReason(`All below is as it was at ${formatTime(last.now_ms, SECOND)} UTC.`);
  };

  const show = (now) => {
    last = now;
    setState(now.ready ? "Ready" : "Not ready", now.ready ? "ready" : "waiting");
    tellReason(capital(now.reason));
    const commit = now.committed_ms === null ? "nothing committed yet" : `committed ${formatAgo(now.now_ms - now.committed_ms)}`;
    const facts = [`Driftline ${now.version}`, now.bundle && `bundle ${now.bundle}`, now.profile, commit];
    setText(part("facts"), facts.filter(Boolean).join(" · "));
    fillTiles(now);
    fillPhases(part("phases"), part("phase-names"), now.lanes);
    fillPartitions(part("partitions"), part("partitions-count"), now.partitions, now.workers);
    paces();
  };

  const look = inTurn(async () => {
    try {
      const now = await ask("overview");
      const due = [];
      if (now.newest_anomaly !== mark) due.push(events.update());
      mark = now.newest_anomaly;
      show(now);
      if (round % KEYS_EVERY === 0) due.push(keys.update());
      if (round % MODELS_EVERY === 0)
        due.push(ask("models").then((models) => fillModels(networks, models)));
      if (round % LANE_EVERY === 0) due.push(lane.load());
      round++;
      await Promise.all(due);
      events.tick(now.now_ms);
    } catch {
      mark = null; // whatever was missed is asked for again
      lost();
    }
  });

  part("pause").addEventListener("click", () => {
    paused = !paused;
    part("pause").setAttribute("aria-pressed", String(paused));
    setText(part("pause"), paused ? "Go on" : "Pause");
    if (!paused) look();
  });
  part("zoom-in").addEventListener("click", () => lane.plot.zoomBy(0.5));
  part("zoom-out").addEventListener("click", () => lane.plot.zoomBy(2));
  part("zoom-reset").addEventListener("click", lane.plot.reset);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select")) {
      event.preventDefault();
      part("search").focus();
    }
  });
  document.addEventListener("visibilitychange", () => !document.hidden && !paused && look());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readTheme();
    paces();
    lane.redraw();
  });
  new ResizeObserver(lane.redraw).observe(part("plot"));
  new ResizeObserver(paces).observe(part("pace"));
  setInterval(() => !document.hidden && !paused && look(), EVERY_MS);
  look();
}

start();
