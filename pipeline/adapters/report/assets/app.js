// Brings the parts to life.

const part = (id) => document.getElementById(id);
const data = JSON.parse(part("data").textContent);
const fieldName = (field) => (isJoint(field) ? "all fields together" : field);
data.lanes.forEach((lane, number) => Object.assign(lane, { number, name: `${lane.key} · ${fieldName(lane.field)}` }));

function start() {
  readTheme();
  part("facts").open = innerWidth > 900;
  if (data.lanes.length === 0) return;
  const many = data.lanes.length > 1;
  part("workspace").hidden = false;
  part("workspace").classList.toggle("single", !many);
  part("lane-steps").hidden = !many;

  const detail = makeDetail(
    {
      title: part("lane-title"),
      counts: part("lane-counts"),
      legend: part("legend"),
      range: part("plot-range"),
      hint: part("plot-hint"),
      table: part("episodes").tBodies[0],
      none: part("episodes-none"),
      canvas: part("plot"),
    },
    makeWhy({
      box: part("why"),
      title: part("why-title"),
      reason: part("why-reason"),
      horizons: part("why-horizons"),
      table: part("why-streams"),
      fields: part("why-fields"),
    }),
    part("hover"),
  );

  const picking = (on) => document.body.classList.toggle("picking", on);
  const open = (lane, episode = null, done = episode !== null) => {
    lanes.mark(lane);
    if (done) picking(false);
    detail.show(lane, episode);
    if (episode && part("plot").getBoundingClientRect().bottom > innerHeight)
      part("detail").scrollIntoView({ block: "start" });
  };
  const lanes = makeLanes(
    {
      list: part("lane-list"),
      search: part("search"),
      sort: part("sort"),
      count: part("lanes-count"),
      none: part("lanes-none"),
    },
    open,
  );
  const redraws = [detail.redraw, lanes.redraw];

  if (many && data.lanes.some((lane) => lane.episodes.length)) {
    part("overview").hidden = false;
    const timeline = makeTimeline(part("timeline"), part("timeline-note"), part("hover"), open);
    fillWorst(part("worst"), open);
    redraws.push(timeline.draw);
    new ResizeObserver(timeline.draw).observe(part("timeline"));
  }

  new ResizeObserver(detail.redraw).observe(part("plot"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readTheme();
    for (const redraw of redraws) redraw();
  });

  part("lane-previous").addEventListener("click", () => lanes.step(-1));
  part("lane-next").addEventListener("click", () => lanes.step(1));
  part("episode-previous").addEventListener("click", () => detail.stepEpisode(-1));
  part("episode-next").addEventListener("click", () => detail.stepEpisode(1));
  part("zoom-in").addEventListener("click", () => detail.plot.zoomBy(0.5));
  part("zoom-out").addEventListener("click", () => detail.plot.zoomBy(2));
  part("zoom-reset").addEventListener("click", detail.plot.reset);
  part("lanes-open").addEventListener("click", () => {
    picking(true);
    part("search").focus();
  });
  part("lanes-close").addEventListener("click", () => {
    picking(false);
    part("lanes-open").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && many && !event.target.closest("input, select")) {
      event.preventDefault();
      part("search").focus();
    } else if (event.key === "Escape") picking(false);
  });
  open(data.lanes[0]);
}

start();
