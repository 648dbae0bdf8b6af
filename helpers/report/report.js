// Sorts and filters the table of runs. Without it the table is whole and in its first order.
"use strict";

for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;

const table = document.querySelector("table.runs");
if (table) {
  makeSortable(table);
  makeFilterable(table, document.querySelector(".filters"));
}

function makeSortable(table) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, heading));
  }
}

// Numbers first in the asked order; rows without one, of runs that diverged, always last.
function sortBy(table, heading) {
  const column = heading.cellIndex;
  const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  const valueOf = (row) => row.cells[column].dataset.value;
  const rows = [...table.tBodies[0].rows].sort((one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (Number(a) - Number(b));
  });
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  table.tBodies[0].append(...rows);
}

function makeFilterable(table, form) {
  const columns = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.column);
  const selects = [...form.querySelectorAll("select")];
  const rows = [...table.tBodies[0].rows];

  function apply() {
    const wanted = selects
      .filter((select) => select.value !== "")
      .map((select) => [columns.indexOf(select.dataset.column), select.value]);
    for (const row of rows) {
      row.hidden = wanted.some(([column, value]) => row.cells[column].dataset.value !== value);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${rows.length} runs shown`;
  }

  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
}
