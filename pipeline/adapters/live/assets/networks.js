// What happened to networks: what asks for a training, what became of trainings, and events of the registry.

const GOOD = new Set(["promoted", "passed", "held"]);

function fillModels({ facts, waiting, trainings, events }, models) {
  const said = models.bundle ? [`${models.bundle} scores`] : [];
  if (models.champion) said.push(models.champion === models.bundle ? "it is the champion" : `${models.champion} is the champion`);
  said.push(models.followed ? "newer champions take over" : "newer champions do not take over");
  if (models.held) said.push("promotion is held");
  if (models.trouble) said.push("the registry cannot be read just now");
  if (!models.events.length && !models.trouble) said.push("nothing is in the registry");
  setText(facts, said.join(" · "));
  waiting.hidden = models.waiting.length === 0;
  fillNew(waiting, models.waiting.map((one) => one.name).join(" "), () => models.waiting.map(waitingItem));
  fillTable(trainings, models.trainings, trainingRow, "name");
  fillTable(events, models.events, eventRow, "sequence");
}

// Leaves what is there alone where it is still the same, so that focus and selection stay.
function fillNew(box, mark, make) {
  if (box.dataset.mark === mark) return;
  box.dataset.mark = mark;
  box.replaceChildren(...make());
}

function fillTable(table, entries, row, id) {
  table.parentElement.hidden = entries.length === 0;
  fillNew(table.tBodies[0], String(entries[0]?.[id] ?? ""), () => entries.map(row));
}

function waitingItem(signal) {
  const what = signal.kind === "drift" ? "Drift" : "A request";
  return element("li", {}, `${what} waits for a training since ${formatTime(signal.time_ms)}: ${signal.reason || "no reason given"}`);
}

function trainingRow(run) {
  const told = run.outcome === "failed" ? "driftline models runs tells why" : run.told;
  return element(
    "tr",
    {},
    cell("Training", [formatTime(run.time_ms)]),
    cell("For", [run.trigger]),
    cell("Outcome", [element("span", { class: `outcome ${outcomeClass(run.outcome)}` }, formatKind(run.outcome))]),
    cell("Bundle", [run.bundle ?? "–"]),
    cell("Loss, champion", [formatNumber(run.champion_loss)], "number"),
    cell("Its own", [formatNumber(run.challenger_loss)], "number"),
    cell("Took", [formatDuration(1000 * run.duration_s)], "number"),
    cell("Told", [told || "–"]),
  );
}

const outcomeClass = (outcome) => (outcome === "failed" ? "bad" : GOOD.has(outcome) ? "good" : "");

function eventRow(event) {
  return element(
    "tr",
    {},
    cell("When", [formatTime(event.time_ms)]),
    cell("What", [formatKind(event.kind)]),
    cell("Bundle", [event.bundle ?? "–"]),
    cell("By", [event.actor]),
    cell("Why", [event.reason || "–"]),
  );
}
