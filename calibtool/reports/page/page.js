"use strict";
// Without this script everything can be read; with it, tables sort, long ones fold and can be
// searched, and the arrow keys go from bin to bin.
const LONG = 25; // rows from which on a table is folded and can be searched
const SHOWN = 15; // rows of a folded table

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

// A long table: its first rows, a button for the rest, and a field that finds rows by their name.
function shorten(table) {
  const rows = [...table.tBodies[0].rows];
  const name = table.getAttribute("aria-label").toLowerCase();
  let open = false;

  const label = document.createElement("label");
  const field = document.createElement("input");
  const found = document.createElement("span");
  const more = document.createElement("button");
  field.type = "search";
  field.autocomplete = "off";
  label.append(`Search ${name}: `, field);
  found.setAttribute("role", "status");
  found.className = "note";
  more.className = "more";

  const show = () => {
    const words = field.value.trim().toLowerCase();
    let hits = 0;
    for (const row of rows) {
      const hit = row.cells[0].textContent.toLowerCase().includes(words);
      row.classList.toggle("unmatched", !hit);
      hits += hit;
    }
    fold(table, open || words !== "");
    more.hidden = words !== "";
    more.textContent = open ? `Show ${SHOWN}` : `Show all ${rows.length}`;
    const shown = words ? hits : open ? rows.length : SHOWN;
    found.textContent = `${shown} of ${rows.length} shown`;
  };
  field.addEventListener("input", show);
  more.addEventListener("click", () => { open = !open; show(); });

  const line = document.createElement("div");
  line.className = "search";
  line.append(label, found);
  table.parentElement.before(line);
  table.parentElement.after(more);
  show();
  return show;
}

for (const table of document.querySelectorAll("table.sortable")) {
  let show = () => {};
  if (table.tBodies[0].rows.length > LONG) show = shorten(table);
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(table, column, now === null ? column > 0 : now === "ascending");
      show();
    });
  });
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
