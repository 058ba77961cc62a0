// The list of newest events. Rows that stay are left alone, so that focus and scrolling do.

const SHOWN = 100;

const tellOf = (event) =>
  `${formatKind(event.kind)} ${event.event}: ${[feedbackOn(event), event.reason].filter(Boolean).join("; ")}`;

function makeEvents({ list, none, severity, announce }, choose) {
  const rows = new Map(); // by id
  let first = true, // of this severity
    begun = false,
    chosen = null;

  const mark = (id) => {
    chosen = id;
    for (const [one, { button }] of rows) button.setAttribute("aria-pressed", String(one === id));
  };

  const make = (event) => {
    const ago = element("span", { class: "ago" });
    const button = element(
      "button",
      { type: "button", "aria-pressed": String(event.id === chosen) },
      element("span", { class: "grades" }, ...badges({ ...event, severity: SEVERITIES.indexOf(event.severity) })),
      element("span", { class: "name" }, laneName(event.key, event.field)),
      ago,
      element("span", { class: "told" }, tellOf(event)),
    );
    button.addEventListener("click", () => choose(event, true));
    return { event, row: element("li", { "data-id": event.id }, button), button, ago };
  };

  const update = inTurn(async () => {
    const answer = await ask("anomalies", { limit: SHOWN, severity: severity.value });
    const fresh = answer.anomalies.filter((event) => !rows.has(event.id));
    const kept = new Set(answer.anomalies.map((event) => event.id));
    for (const [id, { row }] of rows) {
      if (!kept.has(id)) {
        row.remove();
        rows.delete(id);
      }
    }
    let before = null;
    for (const event of answer.anomalies) {
      if (!rows.has(event.id)) {
        rows.set(event.id, make(event));
        if (!first) rows.get(event.id).button.classList.add("fresh");
      }
      const { row } = rows.get(event.id);
      const place = before ? before.nextSibling : list.firstChild;
      if (place !== row) list.insertBefore(row, place);
      before = row;
    }
    none.hidden = rows.size > 0;
    if (!first && fresh.length) say(fresh);
    if (first && !begun && answer.anomalies.length) choose(answer.anomalies.find((event) => !event.suppressed) ?? answer.anomalies[0], false);
    begun ||= answer.anomalies.length > 0;
    first = false;
  });

  const say = (fresh) => {
    const opened = fresh.filter((event) => event.event === "opened" && !event.suppressed);
    if (!opened.length) return;
    const [{ key, field, severity: grade }] = opened;
    const more = opened.length > 1 ? `, and ${formatCount(opened.length - 1, "more anomaly").replace("anomalys", "anomalies")}` : "";
    setText(announce, `New anomaly, ${grade}: ${laneName(key, field)}${more}`);
  };

  const tick = (now_ms) => {
    for (const { event, ago } of rows.values()) setText(ago, formatAgo(now_ms - event.committed_ms));
  };

  severity.addEventListener("change", () => {
    first = true;
    update();
  });
  return { update, tick, mark };
}
