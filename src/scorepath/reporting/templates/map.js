// The map of who wins where. A tile shows a verdict of the study; at another batch size than the study's, what the limits
// of both errors say. Its state is in the address: #winners?by=equal_steps&against=...&open=cosine~0.1
(() => {
  const map = study.map;
  const verdicts = rowsOf(map.verdicts);
  if (!verdicts.length) return;
  const root = document.getElementById("map");
  const form = document.getElementById("map-switches");
  const table = document.getElementById("map-table");
  const card = document.getElementById("card");
  const switches = form.elements;
  const KINDS = { // class, mark, words
    pathwise: ["P", "P", "pathwise is better"],
    rival: ["S", "R", "its rival is better"],
    mixture: ["M", "M", "a mixture has a smaller error than both"],
    undecided: ["undecided", "?", "undecided"],
    equivalent: ["undecided", "=", "equal in practice"],
    no_signal: ["undecided", "0", "no signal: every sample of a side is zero"],
    neither_usable: ["na", "×", "neither usable: zero errs no more"],
    not_measurable: ["na", "~", "not measurable: the tail is too heavy"],
    not_applicable: ["na", "–", "not applicable, or no data"],
  };
  const keyOf = (...parts) => parts.join("|");
  const byPlace = new Map(verdicts.map((row) => [
    keyOf(row.comparison, row.criterion, row.environment, row.sigma, row.checkpoint ?? ""), row]));
  const measured = cellsOf().filter((row) => row.stage === "gradients");
  const cellsAt = Map.groupBy
    ? Map.groupBy(measured, (row) => keyOf(row.environment, row.sigma, row.checkpoint ?? ""))
    : measured.reduce((found, row) => {
      const key = keyOf(row.environment, row.sigma, row.checkpoint ?? "");
      return found.set(key, [...(found.get(key) ?? []), row]);
    }, new Map());
  const trained = () => switches.by.value === "training";
  const checkpoint = () => (trained() ? "" : Number(switches.checkpoint.value));
  const batch = () => map.budget * 2 ** Number(switches.batch.value);
  const ofStudy = () => trained() || Number(switches.batch.value) === 0;
  const named = (name) => map.estimators[name] ?? name;

  function fill(select, options) {
    for (const [value, text] of options) select.append(new Option(text, value));
  }
  fill(switches.by, Object.entries(map.criteria));
  fill(switches.against, Object.entries(map.comparisons));
  fill(switches.checkpoint, map.checkpoints);
  if ("pathwise_vs_best_score_function" in map.comparisons) switches.against.value = "pathwise_vs_best_score_function";
  switches.batch.min = -Math.floor(Math.log2(map.budget));
  switches.batch.max = 8;
  switches.batch.value = 0;

  /** Error of an estimator at a place and the batch size, with limits: the bias that counts, and variance × price / B. */
  function errorOf(row, unit) {
    if (!row || row.variance === null || typeof row.variance === "string" || row.counted === null) return null;
    const price = { equal_samples: 1, equal_steps: row.steps, equal_compute: row.seconds / unit }[switches.by.value];
    if (!(price > 0)) return null;
    const error = (end) => row[`counted${end}`] + (row[`variance${end}`] * price) / batch();
    return { value: error(""), low: error("_low"), high: error("_high"), estimator: row.estimator };
  }

  /** What a tile says: a kind, the ratio of the rival's error by pathwise's where there is one, and the row behind it. */
  function tile(environment, sigma) {
    const row = byPlace.get(keyOf(switches.against.value, switches.by.value, environment, sigma, checkpoint()));
    if (!row) return { kind: "not_applicable", row: null };
    const word = row.verdict === "score_function" || row.verdict === "derivative_free" ? "rival" : row.verdict;
    const found = { kind: word, row, value: row.value, low: row.value_low, high: row.value_high };
    if (trained() || ["not_applicable", "no_signal"].includes(word)) return found;
    const cells = cellsAt.get(keyOf(environment, sigma, checkpoint())) ?? [];
    const pathwise = cells.find((cell) => cell.estimator === (sigma === 0 ? map.pathwise_without_noise : map.pathwise));
    const rival = cells.find((cell) => cell.estimator === row.rival);
    const sides = [errorOf(pathwise, pathwise?.seconds), errorOf(rival, pathwise?.seconds)];
    const square = pathwise?.norm ? pathwise.norm ** 2 : null;
    if (!ofStudy()) Object.assign(found, estimated(sides, square));
    const least = switches.mixtures.checked && sides.every(Boolean) ? Math.min(sides[0].low, sides[1].low) : null;
    const mixed = least === null ? [] : cells.filter((cell) => cell.family === "mixture")
      .map((cell) => errorOf(cell, pathwise.seconds))
      .filter((error) => error && error.high < least && (square === null || error.value < square));
    if (mixed.length) {
      const best = mixed.reduce((one, other) => (other.value < one.value ? other : one));
      Object.assign(found, { kind: "mixture", mixture: best.estimator, factor: least / best.value });
    }
    return found;
  }

  /** At another batch size: a winner where the limits of both errors lie apart. */
  function estimated([one, other], square) {
    if (!one || !other) return { kind: "not_measurable", value: null };
    const value = Math.log10(other.value / one.value);
    const limits = { value, low: Math.log10(other.low / one.high), high: Math.log10(other.high / one.low) };
    const least = Math.min(one.value, other.value);
    if (square !== null && least >= square) return { kind: "neither_usable", ...limits };
    if (limits.low > -map.margin && limits.high < map.margin) return { kind: "equivalent", ...limits };
    return { kind: limits.low > 0 ? "pathwise" : limits.high < 0 ? "rival" : "undecided", ...limits };
  }

  const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
  const factor = (value) => (value === null || typeof value !== "number" ? "" : value > 3 || value < -3 ? ">1000×"
    : `${words(10 ** Math.abs(value), 2)}×`);

  function described(environment, sigma, found) {
    const place = `${map.environments[environment]}, σ = ${sigmaWords(sigma)}`;
    const rival = found.row?.rival ? ` against ${named(found.row.rival)}` : "";
    const size = ["pathwise", "rival"].includes(found.kind) && !trained() ? `, ${factor(found.value)}` : "";
    const who = found.kind === "mixture" ? `: ${named(found.mixture)}` : "";
    return `${place}: ${KINDS[found.kind][2].split(":")[0]}${who}${size}${rival}`;
  }

  const settle = roving(table.tBodies[0], "button");

  function draw() {
    const counts = {};
    const rows = Object.keys(map.environments).map((environment) => {
      const tiles = map.sigmas.map(([sigma]) => [sigma, tile(environment, sigma)]);
      if (trained() && tiles.every(([, found]) => !found.row)) return null;
      return element("tr", {}, element("th", { scope: "row" }, map.environments[environment]), ...tiles.map(([sigma, found]) => {
        counts[found.kind] = (counts[found.kind] ?? 0) + 1;
        const [look, mark] = KINDS[found.kind];
        const sized = ["pathwise", "rival"].includes(found.kind) && !trained();
        const button = element("button", {
          type: "button", class: "tile", "data-kind": found.kind, value: `${environment}~${sigma}`,
          "aria-label": described(environment, sigma, found),
        }, element("span", {}, mark), sized ? element("small", {}, factor(found.value)) : null);
        return element("td", { class: `mark ${look}` }, button);
      }));
    });
    table.tHead.replaceChildren(element("tr", {}, element("th", { scope: "col" }, "environment"),
      ...map.sigmas.map(([, token]) => element("th", { scope: "col", class: "mark" }, `σ = ${token}`))));
    table.tBodies[0].replaceChildren(...rows.filter(Boolean));
    settle();
    const shown = Object.entries(KINDS).filter(([kind]) => counts[kind]);
    document.getElementById("map-key").replaceChildren(...shown.map(([, [look, mark, text]]) =>
      element("li", {}, element("span", { class: `mark ${look}` }, element("span", {}, mark)), text)));
    document.getElementById("map-count").textContent = shown
      .map(([kind, [, , text]]) => `${text.split(":")[0].split(",")[0]}: ${counts[kind]}`).join("; ");
    switches.size.textContent = trained() ? "as trained" : words(batch(), 9);
    switches.batch.disabled = switches.checkpoint.disabled = switches.mixtures.disabled = trained();
    document.getElementById("map-note").textContent = note();
    onlyScrollersStop();
  }

  function note() {
    if (trained()) return "Training is judged by the return over its last quarter; the switches of the gradient do not apply.";
    const parts = ["A factor is that of both errors."];
    parts.push(ofStudy() ? `At ${words(map.budget, 9)} samples the tiles are the study’s verdicts, by intervals that pair the batches.`
      : "At this batch size nothing was judged: the errors follow from bias and variance, and a side wins where the 95 % limits"
        + " of both lie apart, without pairing. The rival is the one chosen at the study’s batch size.");
    if (switches.mixtures.checked) parts.push("A mixture shows where its upper limit is below the lower limits of both sides.");
    return parts.join(" ");
  }

  // --- the card ------------------------------------------------------------------------------------------------------

  function open(environment, sigma, focus) {
    const found = tile(environment, sigma);
    const words_ = study.cards[environment] ?? {};
    const close = element("button", { type: "button", class: "close" }, "Close");
    close.addEventListener("click", () => {
      card.hidden = true;
      save();
      table.querySelector(`button[value="${CSS.escape(`${environment}~${sigma}`)}"]`)?.focus();
    });
    const facts = [words_.family && `Family ${words_.family}`, words_.knobs, words_.facts].filter(Boolean).join("; ");
    card.replaceChildren(
      element("h3", {}, `${map.environments[environment]} at σ = ${sigmaWords(sigma)}`, " ", close),
      element("p", {}, words_.sentence ?? ""),
      ...(words_.equations ?? "").split("\n\n").filter(Boolean).map(inCode),
      facts ? element("p", { class: "quiet" }, `${facts}.`) : null,
      element("p", {}, ...verdictWords(environment, sigma, found)),
      element("div", { class: "drawings" }, ...sketchOf(words_.sketch), ...landscapeOf(environment, sigma, shownCheckpoint()),
        ...trajectoryOf(environment, shownCheckpoint())),
      ...curves(environment, found.row?.rival),
      ...numbers(environment, sigma),
    );
    const body = card.querySelector("tbody");
    if (body) roving(body, ".copy")();
    card.hidden = false;
    card.dataset.open = `${environment}~${sigma}`;
    onlyScrollersStop();
    if (focus) card.focus();
  }

  /** A paragraph of a docstring: what stands between backticks is code. */
  const inCode = (text) => element("p", { class: "equations" },
    ...text.split(/`+/).map((part, index) => (index % 2 ? element("code", {}, part) : part)));

  /** Of training there is no checkpoint: the card shows where it starts. */
  const shownCheckpoint = () => String(trained() ? map.checkpoints[0]?.[0] : checkpoint());

  function verdictWords(environment, sigma, found) {
    const row = found.row;
    if (!row) return ["Not compared here."];
    const parts = [element("strong", {}, `${capital(described(environment, sigma, found).split(": ").slice(1).join(": "))}. `)];
    if (typeof found.value === "number" && typeof found.low === "number") {
      const what = trained() ? "Difference of mean scores, pathwise’s less its rival’s" : "log₁₀ of the rival’s error over pathwise’s";
      parts.push(`${what}: ${words(found.value)} [${words(found.low)}, ${words(found.high)}]. `);
    }
    if (typeof row.flip_budget === "number") {
      const limits = `[${words(row.flip_budget_low)}, ${words(row.flip_budget_high)}]`;
      parts.push(`Both errors are equal at a budget of ${words(row.flip_budget)} ${limits} of pathwise’s samples. `);
    }
    if (row.reason) parts.push(`${capital(row.reason)}.`);
    return parts;
  }

  function numbers(environment, sigma) {
    const at = trained() ? map.checkpoints[0]?.[0] : checkpoint();
    const cells = (cellsAt.get(keyOf(environment, sigma, at)) ?? []).filter((cell) => cell.samples !== null);
    if (!cells.length) return [element("p", {}, "No estimator has numbers here.")];
    const unit = cells.find((cell) => cell.estimator === map.pathwise)?.seconds;
    const errors = new Map(cells.map((cell) => [cell, trained() ? null : errorOf(cell, unit)]));
    const by = (cell) => errors.get(cell)?.value ?? Infinity;
    const rows = [...cells].sort((one, other) => by(one) - by(other)).map((cell) => {
      const error = errors.get(cell);
      return element("tr", {}, element("th", { scope: "row" }, named(cell.estimator)),
        interval(error?.value ?? null, error?.low, error?.high),
        interval(cell.bias, cell.bias_low, cell.bias_high), interval(cell.variance, cell.variance_low, cell.variance_high),
        element("td", { class: "n" }, words(cell.nsr)), element("td", {}, ...command(cell.command)));
    });
    const heads = [`error at ${words(batch(), 9)}`, "bias² / ‖∇J‖²", "variance", "noise-to-signal"];
    return [element("div", { class: "scroll", role: "region", "aria-label": "Every estimator here" }, element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "estimator"),
        ...heads.map((text) => element("th", { scope: "col", class: "n" }, text)), element("th", { scope: "col" }, "command"))),
      element("tbody", {}, ...rows)))];
  }

  /** Relative error by noise level: pathwise blue, its rival orange, mixtures purple, all others grey. */
  function curves(environment, rival) {
    if (trained()) return [];
    const [width, height, left, foot] = [400, 220, 58, 44];
    const lines = new Map();
    map.sigmas.forEach(([sigma], index) => {
      const cells = cellsAt.get(keyOf(environment, sigma, checkpoint())) ?? [];
      const unit = cells.find((cell) => cell.estimator === map.pathwise)?.seconds;
      for (const cell of cells) {
        const error = errorOf(cell, unit);
        const level = error && cell.norm > 0 ? Math.log10(error.value / cell.norm ** 2) : -Infinity;
        if (!Number.isFinite(level) || sigma === 0) continue;
        if (!lines.has(cell.estimator)) lines.set(cell.estimator, { family: cell.family, points: [] });
        lines.get(cell.estimator).points.push([index, level]);
      }
    });
    const levels = [...lines.values()].flatMap((line) => line.points.map(([, level]) => level));
    if (!levels.length) return [];
    const [low, high] = [Math.floor(Math.min(...levels)), Math.max(Math.ceil(Math.max(...levels)), Math.floor(Math.min(...levels)) + 1)];
    const x = (index) => left + (index + 0.5) * ((width - left) / map.sigmas.length);
    const y = (level) => 8 + (high - level) * ((height - foot - 8) / (high - low));
    const look = (name, line) => (name === map.pathwise ? "own" : name === rival ? "rival" : line.family === "mixture" ? "mixed" : "other");
    const order = ["other", "mixed", "rival", "own"];
    const drawn = [...lines].sort(([one, a], [other, b]) => order.indexOf(look(one, a)) - order.indexOf(look(other, b)))
      .map(([name, line]) => svg("g", { class: look(name, line) },
        svg("polyline", { points: line.points.map(([index, level]) => `${x(index)},${y(level)}`).join(" ") }),
        ...line.points.map(([index, level]) => svg("circle", { cx: x(index), cy: y(level), r: 3 },
          svg("title", {}, `${named(name)}, σ = ${map.sigmas[index][1]}: ${words(10 ** level)}`)))));
    const step = Math.max(1, Math.ceil((high - low) / 5));
    const ticks = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, index) => low + index * step);
    return [element("figure", { class: "curves" },
      svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Relative error by noise level; the table has the numbers" },
        ...ticks.map((level) => svg("path", { d: `M${left} ${y(level)}H${width}`, class: "grid" })),
        ...ticks.map((level) => svg("text", { x: left - 6, y: y(level) + 4, "text-anchor": "end" }, words(10 ** level))),
        ...map.sigmas.map(([, token], index) => svg("text", { x: x(index), y: height - 24, "text-anchor": "middle" }, token)),
        svg("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, "noise level σ"),
        ...drawn),
      element("figcaption", {}, "Error by the squared length of the exact gradient. Blue: pathwise; orange: its rival here;"
        + " purple: mixtures; grey: all others."))];
  }

  // --- the address ---------------------------------------------------------------------------------------------------

  function save() {
    const state = { by: switches.by.value, against: switches.against.value, checkpoint: switches.checkpoint.value };
    if (!ofStudy()) state.batch = batch();
    if (switches.mixtures.checked) state.mixtures = 1;
    if (!card.hidden) state.open = card.dataset.open;
    remember("winners", state);
  }

  function recall() {
    const query = recalled("winners");
    if (!query?.size) return;
    for (const name of ["by", "against", "checkpoint"]) {
      const value = query.get(name);
      if ([...switches[name].options].some((option) => option.value === value)) switches[name].value = value;
    }
    switches.batch.value = Math.round(Math.log2(Number(query.get("batch") ?? map.budget) / map.budget)) || 0;
    switches.mixtures.checked = query.get("mixtures") === "1";
    draw();
    const [environment, sigma] = placeOf(query.get("open") ?? "");
    if (environment in map.environments && map.sigmas.some(([level]) => level === sigma)) open(environment, sigma, false);
    root.scrollIntoView();
  }

  form.addEventListener("input", () => {
    draw();
    if (!card.hidden) open(...placeOf(card.dataset.open), false);
    save();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button.tile");
    if (!button) return;
    open(...placeOf(button.value), true);
    save();
  });
  const placeOf = (text) => [text.split("~")[0], Number(text.split("~")[1])];
  addEventListener("hashchange", recall);

  root.hidden = false;
  draw();
  recall();
})();
