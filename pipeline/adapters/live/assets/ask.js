// Asks the API; an answer that takes too long is none.

const ANSWER_MS = 8000;

async function ask(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(`api/v1/${path}${query && `?${query}`}`, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// Runs one question at a time; what comes meanwhile waits, and of several that wait only the last is asked.
function inTurn(run) {
  let busy = false,
    waiting = null;
  return async function turn(...given) {
    if (busy) {
      waiting = given;
      return;
    }
    busy = true;
    try {
      await run(...given);
    } finally {
      busy = false;
      if (waiting) {
        const next = waiting;
        waiting = null;
        turn(...next);
      }
    }
  };
}

const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

const formatAgo = (ms) => (ms < 1500 ? "now" : `${formatDuration(Math.floor(ms / 1000) * 1000)} ago`);
