// Filters and sorts the table of cells. Without this script the table is complete and readable as it is.
// A filter can be linked to: report.html#cells?environment=step&status=failed
(() => {
  const table = document.getElementById("cell-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const form = document.getElementById("cell-filters");
  const count = document.getElementById("cell-count");
  const fields = [...form.querySelectorAll("[name]")];
  const texts = rows.map((row) => row.textContent.toLowerCase());

  for (const select of form.querySelectorAll("select")) {
    const values = new Set(rows.map((row) => row.dataset[select.name]));
    for (const value of values) select.append(new Option(value, value));
  }

  function apply() {
    let shown = 0;
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, index) => {
      const fits = fields.every((f) => f.name === "text" || !f.value || row.dataset[f.name] === f.value);
      row.hidden = !(fits && words.every((word) => texts[index].includes(word)));
      if (!row.hidden) shown += 1;
    });
    count.textContent = `${shown} of ${rows.length} cells shown`;
  }

  function remember() {
    const query = new URLSearchParams();
    for (const field of fields) if (field.value) query.set(field.name, field.value);
    const text = query.toString();
    try { history.replaceState(null, "", text ? `#cells?${text}` : "#cells"); } catch { /* not allowed here */ }
  }

  function recall() {
    const [place, text] = location.hash.slice(1).split("?");
    if (place !== "cells") return;
    const query = new URLSearchParams(text || "");
    for (const field of fields) field.value = query.get(field.name) ?? "";
    if (text) document.getElementById("cells").scrollIntoView();
  }

  form.addEventListener("input", () => { apply(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { apply(); remember(); }));
  window.addEventListener("hashchange", () => { recall(); apply(); });

  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const [u, v] = [Number(x), Number(y)];
        const order = Number.isNaN(u) || Number.isNaN(v) ? x.localeCompare(y) : u - v;
        return down ? -order : order;
      };
      body.append(...[...rows].sort(compare));
    });
  }

  for (const row of rows) {
    const code = row.lastElementChild.querySelector("code");
    if (!code) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.setAttribute("aria-label", `copy ${code.textContent}`);
    code.after(" ", button);
  }
  body.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const code = button.previousElementSibling;
    getSelection().selectAllChildren(code); // where nothing may write to the clipboard, it is ready for Ctrl-C
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      if (!document.execCommand("copy")) return;
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });

  form.hidden = false;
  recall();
  apply();
})();
