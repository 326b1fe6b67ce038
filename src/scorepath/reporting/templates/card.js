// What an environment's card draws of the environment itself: a sketch of the system, the return along a line through the
// checkpoint, and one trajectory without noise. Functions only: the map calls them.

/** An element of a drawing. */
function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function captioned(drawing, ...caption) {
  return element("figure", { class: "drawing" }, drawing, element("figcaption", {}, ...caption));
}

function sketchOf(family) {
  const text = study.sketches?.[family];
  if (!text) return [];
  const drawing = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
  const title = drawing.querySelector("title");
  drawing.setAttribute("aria-label", title.textContent);
  drawing.setAttribute("class", "sketch");
  title.remove();
  return [captioned(drawing, drawing.getAttribute("aria-label"), drawing.querySelector(".act") ? " Orange: the action." : "")];
}

/** Axes with few round ticks, from data to a drawing of this size: `x` and `y` place a number. */
function frame(xs, ys, { width = 360, height = 200, left = 58, head = 8, foot = 36, unit = "", many = 6 } = {}) {
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  const [bottom, top] = [low - room, high + room];
  const x = (value) => left + ((value - xs[0]) / (xs[1] - xs[0] || 1)) * (width - left - 10);
  const y = (value) => head + ((top - value) / (top - bottom)) * (height - foot - head);
  const ticksOf = (from, to, count) => {
    const raw = (to - from) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
    const first = Math.ceil(from / step - 1e-9);
    return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, index) => {
      const value = (first + index) * step;
      return Math.abs(value) < step * 1e-6 ? 0 : value;
    });
  };
  const axes = [
    ...ticksOf(bottom, top, many).flatMap((value) => [svg("path", { d: `M${left} ${y(value)}H${width}`, class: "grid" }),
      svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, words(value, 4))]),
    ...ticksOf(xs[0], xs[1], 6).map((value) => svg("text", { x: x(value), y: height - foot + 16, "text-anchor": "middle" }, words(value, 3))),
    svg("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, unit),
  ];
  return { x, y, axes, view: `0 0 ${width} ${height}` };
}

/** The path through values that lie evenly; a gap where one is missing. */
function pathThrough(values, x, y) {
  let pen = "M";
  return values.map((value, index) => {
    if (value === null) { pen = "M"; return ""; }
    const part = `${pen}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
    return part;
  }).join("");
}

/** The smoothed objective along a line, this card's noise level in blue, all others grey, none dashed. */
function landscapeOf(environment, sigma, checkpoint) {
  const found = study.landscapes?.[environment]?.[checkpoint];
  if (!found) return [];
  const own = String(sigma);
  const { reach, lines } = found;
  const shown = Object.entries(lines).sort(([one], [other]) => (one === own) - (other === own));
  const finite = shown.flatMap(([, [values]]) => values).filter((value) => value !== null);
  if (!finite.length) return [];
  const count = shown[0][1][0].length;
  const [values, lows, highs] = lines[own] ?? [];
  const seen = [...finite, ...(lows ?? []), ...(highs ?? [])].filter((value) => value !== null);
  const { x, y, axes, view } = frame([-reach, reach], seen, { unit: "distance along the gradient" });
  const along = (index) => x(-reach + (2 * reach * index) / (count - 1));
  const middle = values?.[(count - 1) / 2] ?? null;
  const band = lows && ![...lows, ...highs].includes(null) ? `${pathThrough(highs, along, y)}L${
    lows.map((low, index) => `${along(index).toFixed(1)} ${y(low).toFixed(1)}`).reverse().join("L")}Z` : "";
  const drawing = svg("svg", { viewBox: view, role: "img", "aria-label": "The return along a line of parameters through the policy" },
    ...axes, ...(band ? [svg("path", { d: band, class: "band" })] : []),
    ...shown.map(([token, [returns]]) => svg("path", { d: pathThrough(returns, along, y), class: `line ${token === own ? "own" : token === "0" ? "still" : "other"}` },
      svg("title", {}, token === "0" ? "without noise" : `σ = ${token}`))),
    ...(middle === null ? [] : [svg("circle", { cx: x(0), cy: y(middle), r: 4, class: "here" })]));
  const smoothed = own === "0" ? "Blue: the return without action noise" : `Blue: the expected return at σ = ${own}${"0" in lines ? "; dashed: without action noise" : ""}`;
  const how = found.trajectories ? `, means of ${found.trajectories} trajectories with the same random numbers everywhere;`
    + " band: 95 % limits of the difference from the policy’s own" : ", exact";
  return [captioned(drawing, `The return along a line through the policy (the dot), in the direction of the reference gradient at σ = ${found.along}. ${smoothed}${how}. Grey: the other noise levels.`)];
}

/** States, actions and rewards of one trajectory without noise. */
function trajectoryOf(environment, checkpoint) {
  const found = study.trajectories?.[environment]?.[checkpoint];
  if (!found) return [];
  const parts = ["state", "action", "reward"].filter((name) => found[name]?.some((series) => series.some((value) => value)));
  if (!parts.length) return [];
  const several = Math.max(...parts.map((name) => found[name].length));
  const [width, height] = [360, 84];
  const drawings = parts.map((name, place) => {
    const series = found[name];
    const last = place === parts.length - 1;
    const values = series.flat().filter((value) => value !== null);
    const { x, y, axes, view } = frame([0, Math.max(...found.state.map((each) => each.length)) - 1], values.length ? values : [0],
      { width, height: height + (last ? 30 : 4), head: 20, foot: last ? 36 : 10, unit: last ? "step" : "", many: 3 });
    const ticks = last ? axes : axes.filter((each) => each.getAttribute("text-anchor") !== "middle");
    return svg("svg", { viewBox: view, role: "img", "aria-label": `${name} by step` }, ...ticks,
      ...series.map((each, index) => svg("path", { d: pathThrough(each, x, y), class: `line kind${index % 4}` }, svg("title", {}, series.length > 1 ? `${name} ${index + 1}` : name))),
      svg("text", { x: 58, y: 12, class: "name" }, series.length > 1 ? `${name}, ${series.length} coordinates` : name));
  });
  return [captioned(element("div", {}, ...drawings), "One trajectory of the policy, without action noise and process noise, from one of its starts."
    + (several > 1 ? ` Coordinates in their order: ${["solid", "dashed", "dotted", "dash-dotted"].slice(0, several).join(", ")}${several > 4 ? ", and again" : ""}.` : ""))];
}
