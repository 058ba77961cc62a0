// Why an episode was reported: the sentence, the forecasts that spoke, and each derived stream with its rank. Of all fields
// together the streams are of no series that anybody knows; the largest shares of fields are told instead.

const MOST_FIELDS = 10;

function makeWhy(parts) {
  const { box, title, reason, horizons, table, fields } = parts;

  return (episode) => {
    box.hidden = !episode || !(episode.reason || episode.end || episode.streams.length);
    if (box.hidden) return;
    title.replaceChildren(
      `Why: ${formatKind(episode.kind)}, ${formatTime(episode.opened_ms)} `,
      ...badges(episode),
    );
    reason.textContent = sentence(episode);
    reason.hidden = !reason.textContent;
    const streams = isJoint(episode.field) ? [] : episode.streams;
    fillHorizons(horizons, streams);
    table.hidden = streams.length === 0;
    const highest = Math.max(...streams.map(([, novelty]) => novelty ?? 0));
    table.tBodies[0].replaceChildren(...streams.map((stream) => streamRow(stream, highest)));
    const shares = isJoint(episode.field) ? episode.shares.slice(0, MOST_FIELDS).filter(([, share]) => share > 0) : [];
    fields.hidden = shares.length === 0;
    fields.tBodies[0].replaceChildren(...shares.map((share) => fieldRow(share, shares[0][1])));
  };
}

// What people have said of its time; of a level shift, what it came to; and what began it.
const sentence = (episode) => [feedbackOn(episode), episode.end, episode.reason].filter(Boolean).map((text) => `${capital(text)}.`).join(" ");

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const labelOf = (name) => data.streams[name][0];

function fillHorizons(list, streams) {
  const spoke = new Set(streams.map(([name]) => data.streams[name][1]));
  list.hidden = !data.horizons.some((horizon) => spoke.has(horizon));
  list.replaceChildren(
    element("li", { class: "named" }, "Forecasts that spoke"),
    ...data.horizons.map((horizon) =>
      element(
        "li",
        { class: spoke.has(horizon) ? "spoke" : "silent" },
        formatCount(horizon, "step"),
        element("span", { class: "unseen" }, spoke.has(horizon) ? " before: yes" : " before: no"),
      ),
    ),
  );
}

function fieldRow([name, share], highest) {
  const percent = `${Math.round(share * 100)} %`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, name),
    cell("Share of what is odd", [barOf(share, highest), percent], "novelty"),
  );
}

function barOf(part, highest) {
  const bar = element("span", { class: "bar-fill", "aria-hidden": "true" });
  bar.style.width = `${highest > 0 ? (100 * part) / highest : 0}%`;
  return element("span", { class: "bar-track" }, bar);
}

function streamRow([name, novelty, value, rank], highest) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, capital(labelOf(name))),
    cell("Novelty", [barOf(novelty ?? 0, highest), formatNumber(novelty, 3)], "novelty"),
    cell("Rank", [rank || "–"]),
    cell("Value", [`${formatNumber(value)} ${data.streams[name][2]}`.trim()], "number"),
  );
}
