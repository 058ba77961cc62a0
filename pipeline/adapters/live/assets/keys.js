// Keys by a text. The service looks for them, and gives a few: there may be millions.

const KEYS_SHOWN = 60;
const TYPING_MS = 200;

function makeKeys({ search, list, count }, choose) {
  let chosen = null,
    typing = 0;

  const mark = (key) => {
    chosen = key;
    for (const { firstChild } of list.children) firstChild.setAttribute("aria-pressed", String(firstChild.dataset.key === key));
  };

  const update = inTurn(async () => {
    const found = await ask("keys", { query: search.value.trim(), limit: KEYS_SHOWN });
    const names = found.keys;
    setText(
      count,
      search.value.trim()
        ? `${formatCount(found.total, "match").replace("matchs", "matches")}${found.total > names.length ? `, the first ${names.length}` : ""}`
        : `${names.length < found.total ? `heard of last, of ${found.total.toLocaleString("en")}` : ""}`,
    );
    const shown = [...list.children].map((row) => row.firstChild.dataset.key);
    if (names.length === shown.length && names.every((name, i) => name === shown[i])) return;
    if (list.contains(document.activeElement)) return; // somebody is about to choose one
    list.replaceChildren(
      ...names.map((name) => {
        const button = element("button", { type: "button", "aria-pressed": String(name === chosen), "data-key": name, title: name }, name);
        button.addEventListener("click", () => choose(name));
        return element("li", {}, button);
      }),
    );
  });

  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(update, TYPING_MS);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && list.firstChild) list.firstChild.firstChild.click();
  });
  return { update, mark };
}
