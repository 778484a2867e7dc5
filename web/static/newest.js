// Rows stand still while somebody reads further down: what came meanwhile is counted on a button.
(() => {
  "use strict";

  const LISTS = ["requests-running", "requests-finished"];
  const MOST = 999;
  const button = document.querySelector("[data-act=newest]");
  if (!button) return;
  const table = document.querySelector(".activity");
  const unseen = new Set();
  let holding = false;

  const isScrolled = () => table.getBoundingClientRect().top < 0;
  const idsOf = (rows) => [...rows].map((row) => row.id);

  // Numbers within the rows that are there may change; their number and order may not.
  const moves = ({ target, fragment }) => {
    if (!LISTS.includes(target?.id)) return false;
    return idsOf(fragment.querySelectorAll("tr")).join() !== idsOf(target.rows).join();
  };

  const count = ({ fragment }) => {
    for (const id of idsOf(fragment.querySelectorAll("tr[id^='r-']"))) {
      if (unseen.size < MOST && !document.getElementById(id)) unseen.add(id);
    }
    button.textContent = unseen.size < MOST ? `${unseen.size} new` : `${MOST}+ new`;
    button.hidden = unseen.size === 0;
  };

  document.addEventListener("htmx:before:swap", (event) => {
    const tasks = event.detail.tasks;
    if (!isScrolled()) return;
    for (const task of [...tasks]) {
      // The link to older ones belongs to the rows that are shown.
      const belongs = holding && task.target?.id === "requests-paging";
      if (!belongs && !moves(task)) continue;
      holding = true;
      if (!belongs) count(task);
      tasks.splice(tasks.indexOf(task), 1);
    }
  });

  // What was held back is not sent again, so the stream begins anew, with everything.
  const release = () => {
    if (!holding) return;
    holding = false;
    unseen.clear();
    button.hidden = true;
    document.dispatchEvent(new Event("mp:restart"));
  };

  button.addEventListener("click", () => {
    window.scrollTo({ top: 0, behavior: "instant" });
    release();
  });

  document.addEventListener("scroll", () => isScrolled() || release(), { passive: true });
})();
