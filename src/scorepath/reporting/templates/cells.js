// The table of cells, a page of it at a time: filtered, sorted, and linked to, as #cells?environment=step&status=failed
(() => {
  const PAGE = 40;
  const rows = cellsOf();
  const form = document.getElementById("cell-filters");
  const table = document.getElementById("cell-table");
  const count = document.getElementById("cell-count");
  const pages = document.getElementById("cell-pages");
  const state = (status) => status.split(":")[0];
  const field = {
    environment: (row) => row.environment, estimator: (row) => row.estimator, sigma: (row) => sigmaWords(row.sigma),
    checkpoint: (row) => sigmaWords(row.checkpoint), stage: (row) => row.stage, status: (row) => state(row.status),
  };
  const limits = (name) => (row) => interval(row[name], row[`${name}_low`], row[`${name}_high`]);
  const plain = (name) => (row) => element("td", { class: "n" }, words(row[name]));
  const text = (show, kind = null) => (row) => element("td", { class: kind }, ...[show(row)].flat());
  const COLUMNS = [ // heading, what it is sorted by, how it is drawn
    ["environment", "environment", (row) => element("th", { scope: "row" }, row.environment)],
    ["estimator", "estimator", text((row) => row.estimator)],
    ["σ", "sigma", (row) => element("td", { class: "n" }, sigmaWords(row.sigma))],
    ["checkpoint", "checkpoint", plain("checkpoint")],
    ["stage", "stage", text((row) => row.stage)],
    ["status", "status", (row) => element("td", { class: `status-${state(row.status)}` },
      row.status.replace("identical_to:", "identical to ").replaceAll("_", " "))],
    ["samples", "samples", (row) => element("td", { class: "n" }, words(row.samples, 9))],
    ["variance", "variance", limits("variance")],
    ["noise-to-signal", "nsr", plain("nsr")],
    ["bias² / ‖∇J‖²", "bias", limits("bias")],
    ["error at B samples", "mse_equal_samples", plain("mse_equal_samples")],
    ["at as many steps", "mse_equal_steps", plain("mse_equal_steps")],
    ["cosine", "cosine_similarity", plain("cosine_similarity")],
    ["measured in", "dtype", text((row) => row.dtype)],
    ["reason or log", "reason", text((row) => row.reason, "wrap")],
    ["command", "command", text((row) => command(row.command))],
  ];
  const fields = [...form.querySelectorAll("[name]")];
  const texts = rows.map((row) => ["environment", "estimator", "status", "reason", "command", "stage"]
    .map((name) => row[name]).join(" ").toLowerCase());
  let shown = rows;
  let page = 0;
  let sorted = null;

  for (const select of form.querySelectorAll("select")) {
    for (const value of new Set(rows.map(field[select.name]))) if (value) select.append(new Option(value, value));
  }

  const settle = roving(table.tBodies[0], ".copy", (step) => turn(step));

  function draw() {
    const own = shown.slice(page * PAGE, (page + 1) * PAGE);
    table.tBodies[0].replaceChildren(...own.map((row) => element("tr", {}, ...COLUMNS.map(([, , show]) => show(row)))));
    settle();
    count.textContent = `${shown.length} of ${rows.length} rows shown`;
    const last = Math.max(0, Math.ceil(shown.length / PAGE) - 1);
    pages.hidden = last === 0;
    pages.querySelector("span").textContent = `page ${page + 1} of ${last + 1}`;
    for (const button of pages.querySelectorAll("button")) button.disabled = page === (button.value < 0 ? 0 : last);
    onlyScrollersStop();
  }

  function turn(step) {
    const last = Math.ceil(shown.length / PAGE) - 1;
    if (page + step < 0 || page + step > last) return;
    page += step;
    draw();
    const buttons = table.tBodies[0].querySelectorAll(".copy");
    (step > 0 ? buttons[0] : buttons[buttons.length - 1])?.focus();
  }

  function apply() {
    const wanted = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.filter((row, index) => wanted.every((word) => texts[index].includes(word))
      && fields.every((each) => each.name === "text" || !each.value || field[each.name](row) === each.value));
    if (sorted) shown.sort(sorted);
    page = 0;
    draw();
  }

  function recall() {
    const query = recalled("cells");
    if (!query) return;
    for (const each of fields) each.value = query.get(each.name) ?? "";
    if (query.size) document.getElementById("cells").scrollIntoView();
  }

  const head = element("tr", {}, ...COLUMNS.map(([name, key]) => {
    const cell = element("th", { scope: "col" }, element("button", { type: "button" }, name));
    cell.firstChild.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => (row[key] === "∞" ? Infinity : row[key] === "−∞" ? -Infinity : row[key] ?? "");
      sorted = (one, other) => {
        const [x, y] = [value(one), value(other)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = typeof x === "number" ? x - y : x.localeCompare(y);
        return down ? -order : order;
      };
      apply();
    });
    return cell;
  }));
  table.tHead.append(head);
  roving(table.tHead, "button")();

  form.addEventListener("input", () => {
    apply();
    remember("cells", fields.filter((each) => each.value).map((each) => [each.name, each.value]));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { apply(); remember("cells", []); }));
  pages.addEventListener("click", (event) => { if (event.target.value) turn(Number(event.target.value)); });
  addEventListener("hashchange", () => { recall(); apply(); });

  form.hidden = document.getElementById("cell-region").hidden = false;
  recall();
  apply();
})();
