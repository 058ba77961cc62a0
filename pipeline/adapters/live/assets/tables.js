// Partitions, and what happened to networks.

function fillPartitions(table, count, partitions) {
  setText(count, partitions.length ? String(partitions.length) : "none held");
  const body = table.tBodies[0];
  while (body.rows.length > partitions.length) body.lastChild.remove();
  partitions.forEach((one, i) => {
    const texts = [
      ["Partition", `${one.topic}/${one.partition}`],
      ["At", one.status.replaceAll("_", " ")],
      ["Behind", one.lag_records === null ? "–" : one.lag_records.toLocaleString("en"), "number"],
      ["Offset", one.offset === null ? "–" : one.offset.toLocaleString("en"), "number"],
      ["Keys", one.keys.toLocaleString("en"), "number"],
      ["Newest event time", one.watermark_ms === null ? "–" : formatTime(one.watermark_ms, SECOND)],
      ["Worker", one.worker === null ? "–" : String(one.worker), "number"],
    ];
    if (!body.rows[i]) body.append(element("tr", {}, ...texts.map(([name, , kind]) => cell(name, [""], kind ?? ""))));
    texts.forEach(([, text], at) => setText(body.rows[i].cells[at], text));
  });
}

function fillModels(facts, table, models) {
  const said = [`${models.bundle} scores`];
  if (models.champion) said.push(models.champion === models.bundle ? "it is the champion" : `champion ${models.champion}`);
  said.push(models.followed ? "newer champions are gone over to" : "newer champions are not gone over to");
  if (models.held) said.push("promotion is held");
  if (models.trouble) said.push("the registry cannot be read just now");
  if (!models.events.length && !models.trouble) said.push("nothing is in the registry");
  setText(facts, said.join(" · "));
  table.parentElement.hidden = models.events.length === 0;
  const newest = models.events[0]?.sequence ?? 0;
  if (table.dataset.newest === String(newest)) return;
  table.dataset.newest = String(newest);
  table.tBodies[0].replaceChildren(
    ...models.events.map((event) =>
      element(
        "tr",
        {},
        cell("When", [formatTime(event.time_ms)]),
        cell("What", [formatKind(event.kind)]),
        cell("Bundle", [event.bundle ?? "–"]),
        cell("By", [event.actor]),
        cell("Why", [event.reason || "–"]),
      ),
    ),
  );
}
