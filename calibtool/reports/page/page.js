"use strict";
// Without this script everything can be read; with it, tables sort, long ones fold, and the arrow
// keys go from bin to bin.
const SHOWN = 25;

function key(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  const text = cell.textContent.trim();
  return text === "" ? null : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(table, column, down) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row, column), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return down ? compare(b, a) : compare(a, b);
  });
  body.append(...rows.map(([, row]) => row));
  for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", down ? "descending" : "ascending");
}

function fold(table, open) {
  [...table.tBodies[0].rows].forEach((row, k) => {
    row.classList.toggle("beyond", !open && k >= SHOWN);
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const count = table.tBodies[0].rows.length;
  let open = count <= SHOWN;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(table, column, now === null ? column > 0 : now === "ascending");
      fold(table, open);
    });
  });
  if (open) continue;
  const more = document.createElement("button");
  more.className = "more";
  const say = () => { more.textContent = open ? `Show ${SHOWN}` : `Show all ${count}`; };
  more.addEventListener("click", () => { open = !open; fold(table, open); say(); });
  table.parentElement.after(more);
  say();
  fold(table, open);
}

for (const diagram of document.querySelectorAll(".diagram")) {
  const bins = [...diagram.querySelectorAll(".bin")];
  bins.forEach((bin, k) => {
    bin.setAttribute("tabindex", k ? "-1" : "0");
    bin.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const next = bins[k + step];
      if (!next) return;
      event.preventDefault();
      bin.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  });
}
