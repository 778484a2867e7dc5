// The Playground's answer as it streams. Without this file the form posts, and the next page has
// the whole answer. Everything from outside is set as text.
(() => {
  "use strict";

  const form = document.querySelector("[data-try]");
  const part = (name) => document.querySelector(`[data-try-${name}]`);
  const [answer, thinking, state, error, link, stop] = [
    "answer", "thinking", "state", "error", "link", "stop",
  ].map(part);
  let running = null;

  const seconds = (value) => (value < 0.0995 ? `${(1000 * value).toFixed(0)} ms` : `${value.toFixed(2)} s`);
  const FORMATS = {
    ttft_s: seconds,
    total_s: seconds,
    tokens_per_s: (value) => value.toFixed(value < 99.95 ? 1 : 0),
  };
  const show = (name, value) => {
    const place = document.querySelector(`[data-number=${name}]`);
    const format = FORMATS[name] || ((count) => count.toLocaleString("en"));
    if (place) place.textContent = value == null ? "–" : format(value);
  };

  const clear = () => {
    answer.textContent = "";
    thinking.hidden = true;
    thinking.querySelector("pre").textContent = "";
    error.hidden = link.hidden = true;
    for (const place of document.querySelectorAll("[data-number]")) place.textContent = "–";
  };

  const fail = (text) => {
    error.textContent = text;
    error.hidden = false;
    state.textContent = "failed";
  };

  const take = (name, data) => {
    if (name === "piece") {
      const place = data.kind === "thinking" ? thinking.querySelector("pre") : answer;
      if (data.kind === "thinking") thinking.hidden = false;
      const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
      place.append(data.text);
      if (atEnd) place.scrollTop = place.scrollHeight;
      return;
    }
    for (const [key, value] of Object.entries(data)) show(key, value);
    if (data.request_id) {
      link.href = `/requests/${encodeURIComponent(data.request_id)}`;
      link.hidden = false;
    }
    if (data.error) fail(data.error);
    else state.textContent = "complete";
  };

  const read = async (body) => {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const [, name, data] = event.match(/^event: (\w+)\ndata: (.*)$/s) || [];
        if (name) take(name, JSON.parse(data));
      }
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    running?.abort();
    const mine = (running = new AbortController());
    clear();
    state.textContent = "streaming";
    stop.hidden = false;
    try {
      const asked = await fetch(form.dataset.stream, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
        signal: mine.signal,
      });
      if (asked.ok) await read(asked.body);
      else fail((await asked.json()).error);
    } catch (problem) {
      if (mine.signal.aborted) state.textContent = "stopped";
      else fail(`The dashboard could not be asked: ${problem.message}`);
    } finally {
      if (running === mine) stop.hidden = true;
    }
  });

  stop.addEventListener("click", () => running?.abort());

  // A prompt is sent from the keyboard too.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
})();
