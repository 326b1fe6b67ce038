// Figures told: the value of the point under the pointer, and by arrow keys of every point; further estimators on
// demand; a drawing as a file. Points and words lie in each drawing's `metadata`, written by what drew it.
(() => {
  const NEAR = 24, TOGETHER = 3; // in points of the drawing
  const labelled = (name) => name.replaceAll("_", " ");
  const sentences = new Map(Object.entries(study.cards).map(([name, card]) => [labelled(name), card.sentence]));

  /** Lets readers move over the points of a figure; returns what chooses the series of the rest that shows. */
  function readable(plot, svg) {
    const { panels, series } = JSON.parse(svg.querySelector("metadata").textContent);
    const title = svg.querySelector("title").textContent;
    const width = svg.viewBox.baseVal.width;
    const walk = element("div", { class: "walk", role: "slider", tabindex: 0, "aria-valuemin": 1,
      "aria-label": `Values of the figure “${title}”: left and right arrows for the points, up and down for the series, page keys for the panels` });
    const ring = element("div", { class: "ring", hidden: "" });
    const tip = element("div", { class: "tip", hidden: "", "aria-hidden": "true" });
    plot.append(walk, ring, tip);
    let points = [], current = 0;

    function choose(rest) {
      points = series.filter((each) => each.rest === undefined || each.rest === rest).flatMap((each) =>
        each.points.map(([x, y, where, value]) => ({ x, y, where, value, series: each, panel: each.panel })));
      points = points.map((point, index) => [point, index]).sort(([one, i], [other, j]) => one.panel - other.panel || i - j)
        .map(([point]) => point); // panel by panel, as one reads
      walk.setAttribute("aria-valuemax", points.length);
      current = Math.min(current, points.length - 1);
      hide();
      name(current);
    }

    const heading = ({ panel, where }) => [labelled(panels[panel][0]), where].filter(Boolean).join(", ");
    const explained = ({ panel, where }) => sentences.get(labelled(panels[panel][0])) ?? sentences.get(where.split(", σ")[0]);

    /** What a screen reader says of a point; what a panel is, when one comes to it. */
    function name(index) {
      const [point, before] = [points[index], points[current]];
      const about = point.panel !== before.panel || index === 0 ? explained(point) : null;
      walk.setAttribute("aria-valuenow", index + 1);
      walk.setAttribute("aria-valuetext", [`${point.series.name}, ${heading(point)}: ${point.value}`, about].filter(Boolean).join(". "));
      current = index;
    }

    function show(index) {
      const own = points[index];
      const scale = svg.clientWidth / width;
      const [x, y] = [own.x * scale, own.y * scale];
      const here = points.filter((other) => other !== own && other.panel === own.panel && Math.hypot(other.x - own.x, other.y - own.y) < TOGETHER);
      const line = (point) => element("div", {}, element("strong", {}, `${point.series.name}: `),
        point.where === own.where ? point.value : `${point.where}: ${point.value}`);
      tip.replaceChildren(element("div", { class: "at" }, heading(own)), line(own), ...here.slice(0, 5).map(line));
      const about = explained(own);
      if (about) tip.append(element("small", {}, about));
      ring.style.translate = `${x}px ${y}px`;
      tip.style.left = tip.style.top = "0";
      ring.hidden = tip.hidden = false;
      const sheet = plot.parentElement;
      const [left, right] = [sheet.scrollLeft, sheet.scrollLeft + sheet.clientWidth - 18];
      const beside = x + 14 + tip.offsetWidth > right ? x - 14 - tip.offsetWidth : x + 14;
      tip.style.left = `${Math.max(left, Math.min(beside, right - tip.offsetWidth))}px`;
      tip.style.top = `${y - tip.offsetHeight - 12 < 0 ? y + 16 : y - tip.offsetHeight - 12}px`;
    }

    const hide = () => { ring.hidden = tip.hidden = true; };

    /** The nearest point: of the panel under the pointer, or a near one. */
    function nearest(event) {
      const box = svg.getBoundingClientRect();
      const scale = width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      const panel = panels.findIndex(([, left, top, right, bottom]) => x >= left && x <= right && y >= top && y <= bottom);
      let [best, least] = [-1, panel < 0 ? NEAR : Infinity];
      points.forEach((point, index) => {
        const distance = Math.hypot(point.x - x, point.y - y);
        if ((panel < 0 || point.panel === panel) && distance < least) [best, least] = [index, distance];
      });
      return best;
    }

    /** Where a key leads: up and down to the nearest point of the neighbouring series, page keys to the next panel. */
    function led(key) {
      const own = points[current];
      const first = (test) => points.findIndex(test);
      const across = (step) => {
        const there = [...new Set(points.filter((point) => point.panel === own.panel).map((point) => point.series))];
        const other = there[there.indexOf(own.series) + step];
        if (!other) return -1;
        const own_ = points.filter((point) => point.series === other);
        return points.indexOf(own_.reduce((one, two) => (Math.abs(two.x - own.x) + Math.abs(two.y - own.y) < Math.abs(one.x - own.x) + Math.abs(one.y - own.y) ? two : one)));
      };
      const before = points.findLast((point) => point.panel < own.panel)?.panel;
      return { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: points.length - 1,
        ArrowDown: () => across(1), ArrowUp: () => across(-1),
        PageDown: () => first((point) => point.panel > own.panel), PageUp: () => first((point) => point.panel === before) }[key];
    }

    plot.addEventListener("pointermove", (event) => { const found = nearest(event); if (found < 0) hide(); else show(found); });
    plot.addEventListener("pointerdown", (event) => { const found = nearest(event); if (found >= 0) { name(found); show(found); } });
    plot.addEventListener("pointerleave", () => { if (document.activeElement === walk) show(current); else hide(); });
    walk.addEventListener("focus", () => show(current));
    walk.addEventListener("blur", hide);
    walk.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      const place = led(event.key);
      if (place === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const index = typeof place === "function" ? place() : place;
      if (index < 0 || index >= points.length) return;
      name(index);
      show(index);
      ring.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    choose();
    return choose;
  }

  /** The drawing alone, as it shows, with the colours of white paper. */
  function alone(svg) {
    const copy = svg.cloneNode(true);
    for (const hidden of copy.querySelectorAll(".rest:not(.shown)")) hidden.remove();
    for (const shown of copy.querySelectorAll(".rest.shown")) shown.classList.remove("rest");
    return new XMLSerializer().serializeToString(copy).replace(/; (?:fill|stroke): light-dark\([^)]*\)/g, "");
  }

  for (const figure of document.querySelectorAll("figure.drawn")) {
    const plot = figure.querySelector(".plot");
    const svg = plot.querySelector("svg");
    const choose = svg.querySelector("metadata") ? readable(plot, svg) : null;
    figure.querySelector(".tools button").addEventListener("click", () => {
      const address = URL.createObjectURL(new Blob([alone(svg)], { type: "image/svg+xml" }));
      element("a", { href: address, download: `${figure.id}.svg` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    });
    figure.querySelector(".tools select")?.addEventListener("change", ({ target }) => {
      for (const part of svg.querySelectorAll(".rest")) part.classList.toggle("shown", target.value !== "" && part.matches(`.rest-${target.value}`));
      choose(target.value === "" ? undefined : Number(target.value));
    });
  }

  // One tab stop for what is under a figure, and for all that is under small ones side by side: arrow keys move it.
  for (const group of document.querySelectorAll(".diagrams, figure.drawn")) {
    if (group.matches(".diagrams figure")) continue;
    const items = [...group.querySelectorAll(".tools :is(a, button, select)")];
    items.forEach((item, index) => { item.tabIndex = index ? -1 : 0; });
    for (const item of items) {
      item.addEventListener("focus", () => { for (const other of items) other.tabIndex = other === item ? 0 : -1; });
      item.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        items[items.indexOf(item) + step]?.focus();
      });
    }
  }
})();
