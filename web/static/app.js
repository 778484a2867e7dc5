// What HTML cannot do: the connection pill, pause, theme without a reload, toasts, two keys.
// No request is made here; htmx and its SSE extension own the stream.
(() => {
  "use strict";

  const OFFLINE_AFTER_MS = 15000;
  const POLL_MS = 5000;
  const TOAST_MS = 6000;
  const THEMES = ["", "dark", "light"];
  const WORDS = { on: "Live", retry: "Reconnecting", off: "Offline", paused: "Paused" };
  const body = document.body;

  const setCookie = (name, value, age) => {
    document.cookie = `${name}=${value}; Path=/; Max-Age=${age}; SameSite=Lax`;
  };

  // The server writes times of day where the reader is; it learns the zone for the next page.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) setCookie("mp_tz", zone, 31536000);

  // On a phone the navigation is a strip that scrolls: begin where we are.
  document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest" });

  // -- connection pill ---------------------------------------------------------------------

  let offline = 0;
  let paused = false;

  const show = (state) => {
    for (const pill of document.querySelectorAll("[data-live]")) {
      pill.dataset.state = state;
      pill.querySelector("[data-live-text]").textContent = WORDS[state];
    }
    body.toggleAttribute("data-stale", state === "off");
  };

  const connected = () => {
    clearTimeout(offline);
    offline = 0;
    if (!paused) show("on");
  };

  const lost = () => {
    if (!paused && !offline) show("retry");
    offline ||= setTimeout(() => paused || show("off"), OFFLINE_AFTER_MS);
  };

  document.addEventListener("htmx:sse:after:connection", connected);
  document.addEventListener("htmx:sse:error", lost);
  document.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail.connection.attempt > 0) lost();
  });

  // The very first connection is htmx's own request, which the extension does not repeat. While
  // there is no stream, ask for the fragments themselves.
  const refused = (event) => {
    const live = event.detail.ctx?.sourceElement;
    if (live?.id !== "live") return;
    lost();
    for (const name of live.dataset.fragments.split(" ")) {
      // Each with its own source: requests of one element would replace each other.
      const place = `#${name}`;
      const how = { source: place, target: place, swap: "innerMorph" };
      window.htmx.ajax("GET", `/fragments/${name}?${live.dataset.query}`, how);
    }
    setTimeout(restart, POLL_MS);
  };

  document.addEventListener("htmx:response:error", refused);
  document.addEventListener("htmx:error", refused);

  // A new program or new files behind the same address: the page is of the old one. Once per
  // tab and identity, so that two programs taking turns cannot make it reload for ever.
  document.addEventListener("mp:hello", (event) => {
    const { boot, assets } = JSON.parse(event.detail.data);
    if (boot === body.dataset.boot && assets === body.dataset.assets) return;
    const seen = `${boot} ${assets}`;
    if (sessionStorage.getItem("mp-reloaded") === seen) return;
    sessionStorage.setItem("mp-reloaded", seen);
    location.reload();
  });

  // -- pause -------------------------------------------------------------------------------

  const pauseButton = document.querySelector("[data-act=pause]");
  if (pauseButton) pauseButton.hidden = false;

  // Resuming makes the stream's element anew: a new connection begins with everything.
  const restart = () => {
    const old = document.getElementById("live");
    const fresh = old.cloneNode(false);
    old.replaceWith(fresh);
    window.htmx.process(fresh);
  };

  document.addEventListener("mp:restart", restart);

  const togglePause = () => {
    paused = !paused;
    pauseButton?.setAttribute("aria-pressed", String(paused));
    if (paused) show("paused");
    else restart();
  };

  document.addEventListener("htmx:sse:before:message", (event) => {
    if (paused) event.preventDefault();
  });

  // -- theme -------------------------------------------------------------------------------

  const switchTheme = () => {
    const root = document.documentElement;
    const next = THEMES[(THEMES.indexOf(root.dataset.theme || "") + 1) % THEMES.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    setCookie("mp_theme", next, next ? 31536000 : 0);
  };

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-theme-form]")) return;
    event.preventDefault();
    switchTheme();
  });

  // -- toasts ------------------------------------------------------------------------------

  document.addEventListener("mp:toast", (event) => {
    const { kind, text } = JSON.parse(event.detail.data);
    const toast = document.createElement("p");
    toast.className = kind === "ok" ? "toast" : kind === "err" ? "toast err" : "toast warn";
    toast.textContent = text;
    document.getElementById("toasts").append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  });

  // -- clicks and keys ---------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-act=pause]")) togglePause();
  });

  // Filters are links in the end: choosing one goes to its address.
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (event.target.matches("select") && form.matches("[data-auto-submit]")) form.requestSubmit();
  });

  // Empty fields would only make the address long.
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-auto-submit]")) return;
    for (const field of event.target.elements) {
      if (field.name && !field.value) field.disabled = true;
    }
  });

  // The browser keeps a disabled field disabled when it goes back to this page.
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("[data-auto-submit] :disabled")) {
      field.disabled = false;
    }
  });

  // From one request's link to the next.
  const step = (by) => {
    const links = [...document.querySelectorAll(".activity a.model")];
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.max(0, Math.min(at + by, links.length - 1))]?.focus();
  };

  const GO = { o: "/", r: "/requests", b: "/backends", y: "/try", m: "/models", u: "/usage", c: "/config" };
  let going = false;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (event.key === "p") togglePause();
    else if (event.key === "t") switchTheme();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "?") document.getElementById("keys")?.showModal();
    else if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (!search) return;
      search.focus();
      event.preventDefault();
    } else if (going && GO[event.key]) location.assign(GO[event.key]);
    going = event.key === "g";
  });
})();
