// Partitions.

function fillPartitions(table, count, partitions, workers) {
  setText(count, partitions.length ? partitions.length.toLocaleString("en") : "none held");
  table.parentElement.hidden = partitions.length === 0;
  table.classList.toggle("alone", workers === 1);
  const body = table.tBodies[0];
  while (body.rows.length > partitions.length) body.lastChild.remove();
  partitions.forEach((one, i) => {
    const texts = [
      ["Partition", `${one.topic}/${one.partition}`],
      ["Status", one.status.replaceAll("_", " ")],
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
