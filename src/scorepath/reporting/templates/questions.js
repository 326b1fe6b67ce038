// The interactive figure of section 2, and questions that an address opens: #try?sigma=0.3&k=4&h=1, #question-chain.
// It computes what scorepath/questions/one_step.py does, from the same random numbers. Without it a still figure stands here.
(() => {
  for (const address of ["hashchange", "DOMContentLoaded"]) {
    window.addEventListener(address, () => {
      const target = document.getElementById(location.hash.slice(1));
      const own = target && target.closest("details");
      if (own && !own.open) { own.open = true; target.scrollIntoView(); }
    });
  }

  const root = document.getElementById("try");
  if (!root) return;
  const form = root.querySelector("form"), stage = root.querySelector(".stage"), said = root.querySelector("output");
  const MEAN = 0.2, EDGE = 0.3, SAMPLES = 4000, SEED = 22, NORMAL = 1.959964;
  const KNOBS = ["sigma", "k", "h"];

  function normals() {
    let state = SEED;
    const uniform = () => { // mulberry32
      state = (state + 0x6D2B79F5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    return Array.from({ length: SAMPLES }, () => {
      const radius = Math.sqrt(-2 * Math.log(uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    });
  }
  const EPS = normals();

  function limits(samples) {
    const mean = samples.reduce((sum, x) => sum + x, 0) / SAMPLES;
    const square = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0);
    const half = NORMAL * Math.sqrt(square / (SAMPLES - 1) / SAMPLES);
    return { mean, low: mean - half, high: mean + half, samples };
  }
  const reward = (a, k, h) => Math.cos(k * a) + (a > EDGE ? h : 0);

  function compute({ sigma, k, h }) {
    const z = (EDGE - MEAN) / sigma;
    const smooth = -k * Math.sin(k * MEAN) * Math.exp(-((k * sigma) ** 2) / 2);
    const boundary = h * Math.exp(-z * z / 2) / (sigma * Math.sqrt(2 * Math.PI));
    return {
      smooth, boundary, gradient: smooth + boundary,
      reinforce: limits(EPS.map((e) => reward(MEAN + sigma * e, k, h) * e / sigma)),
      pathwise: limits(EPS.map((e) => -k * Math.sin(k * (MEAN + sigma * e)))),
    };
  }

  // --- drawing: an SVG as wide as there is room, so that its text keeps its size ---
  const text = (x, y, words, look = "") => `<text x="${x}" y="${y}" class="${look}">${words}</text>`;
  const line = (x1, y1, x2, y2, look) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="${look}"/>`;
  const box = (x, y, w, h, look) => `<rect x="${x}" y="${y}" width="${w}" height="${h}" class="${look}"/>`;
  const short = (x) => (Math.abs(x) < 0.005 ? "0.00" : x.toFixed(2)).replace("-", "−");
  const scale = (low, high, from, to) => (x) => from + (Math.min(Math.max(x, low), high) - low) / (high - low) * (to - from);

  function ticks(low, high, x, y) {
    const step = 10 ** Math.floor(Math.log10(high - low));
    const wide = (high - low) / step > 4 ? step : step / 2;
    let out = line(x(low), y, x(high), y, "axis");
    for (let n = Math.ceil(low / wide); n * wide <= high; n += 1) {
      out += line(x(n * wide), y, x(n * wide), y + 4, "axis");
      out += text(x(n * wide), y + 16, String(+(n * wide).toPrecision(3)).replace("-", "−"), "middle");
    }
    return out;
  }

  function drawReward({ sigma, k, h }, left, right, top) {
    const reach = 3.2 * Math.max(sigma, 0.1), low = MEAN - reach, high = MEAN + reach;
    const x = scale(low, high, left, right), y = scale(-1.1 + Math.min(h, 0), 1.1 + Math.max(h, 0), top + 150, top + 14);
    const at = (n) => low + (high - low) * n / 240;
    let curve = "", hill = `M${left},${top + 150}`;
    for (let n = 0; n <= 240; n += 1) {
      const a = at(n), place = x(a).toFixed(1);
      curve += `${n && (a <= EDGE || at(n - 1) > EDGE) ? "L" : "M"}${place},${y(reward(a, k, h)).toFixed(1)}`;
      hill += `L${place},${(top + 150 - 60 * Math.exp(-(((a - MEAN) / sigma) ** 2) / 2)).toFixed(1)}`;
    }
    return text(left, top + 6, "reward f(a), and the density of a", "head")
      + `<path d="${hill}L${right},${top + 150}Z" class="hill"/>`
      + (h ? line(x(EDGE), y(reward(EDGE, k, 0)), x(EDGE), y(reward(EDGE, k, 0) + h), "jump") : "")
      + `<path d="${curve}" class="curve"/>` + ticks(low, high, x, top + 150);
  }

  function drawSamples(found, left, right, top) {
    const sides = [["reinforce", "REINFORCE: f ε/σ"], ["pathwise", "pathwise: f′(a)"]];
    const sorted = sides.flatMap(([side]) => [...found[side].samples]).sort((a, b) => a - b);
    const reach = Math.max(1, Math.abs(sorted[80]), Math.abs(sorted[sorted.length - 81]), Math.abs(found.gradient)) * 1.1;
    const x = scale(-reach, reach, left, right), bins = 48;
    let out = text(left, top + 6, "samples of the gradient, their mean", "head");
    sides.forEach(([side, words], row) => {
      const counts = new Array(bins).fill(0), foot = top + 76 + 74 * row;
      for (const s of found[side].samples) counts[Math.min(bins - 1, Math.max(0, Math.floor((s + reach) / (2 * reach) * bins)))] += 1;
      const most = Math.max(...counts), width = (right - left) / bins;
      counts.forEach((count, n) => {
        if (count) out += box(left + n * width, foot - 42 * count / most, width - 0.6, 42 * count / most, `${side} faint`);
      });
      const m = found[side];
      out += line(left, foot, right, foot, "axis") + text(left, foot - 50, words, side);
      out += line(x(m.low), foot, x(m.high), foot, `${side} bar`) + `<circle cx="${x(m.mean)}" cy="${foot}" r="4" class="${side}"/>`;
    });
    out += line(x(found.gradient), top + 22, x(found.gradient), top + 150, "truth");
    return out + ticks(-reach, reach, x, top + 150);
  }

  function drawParts(found, left, right, top) {
    const rows = [["exact gradient", found.gradient, "ink"], ["of it: boundary term", found.boundary, "boundary"],
      ["of it: smooth part", found.smooth, "pathwise"], ["mean of REINFORCE", found.reinforce, "reinforce"],
      ["mean of pathwise", found.pathwise, "pathwise"]];
    const ends = rows.flatMap(([, value]) => (typeof value === "number" ? [value] : [value.low, value.high]));
    const low = Math.min(-0.1, ...ends) * 1.15, high = Math.max(0.1, ...ends) * 1.15;
    const start = left + 140, x = scale(low, high, start, right - 46);
    let out = text(left, top + 6, "the gradient’s parts, and who sees them", "head");
    out += line(x(0), top + 16, x(0), top + 20 + 24 * rows.length, "axis");
    rows.forEach(([words, value, look], row) => {
      const y = top + 32 + 24 * row, number = typeof value === "number" ? value : value.mean;
      out += text(left, y + 4, words) + text(right, y + 4, short(number), "end");
      out += box(Math.min(x(0), x(number)), y - 7, Math.abs(x(number) - x(0)) || 0.5, 14, look + (number === value ? "" : " faint"));
      if (number !== value) out += line(x(value.low), y, x(value.high), y, `${look} bar`);
    });
    return out + line(x(found.gradient), top + 16, x(found.gradient), top + 20 + 24 * rows.length, "truth");
  }

  function draw(knobs, found) {
    const width = Math.max(280, stage.clientWidth), wide = width >= 640, half = wide ? width / 2 - 14 : width - 2;
    const second = wide ? 0 : 196, third = wide ? 200 : 392, height = third + 150;
    stage.innerHTML = `<svg width="${width}" height="${height}" role="img" aria-label="The reward, histograms of both estimators’ samples, bars of the gradient’s parts; the numbers stand below.">`
      + drawReward(knobs, 2, half, 8) + drawSamples(found, wide ? width / 2 + 14 : 2, width - 2, 8 + second)
      + drawParts(found, 2, Math.min(width - 2, 760), 8 + third) + "</svg>";
  }

  // --- the state: in the form, in the address, in words ---
  function state() {
    return Object.fromEntries(KNOBS.map((name) => [name, Number(form.elements[name].value)]));
  }

  function show() {
    const knobs = state(), found = compute(knobs);
    for (const name of KNOBS) form.elements[name].nextElementSibling.textContent = String(knobs[name]).replace("-", "−");
    draw(knobs, found);
    const side = (m) => `${short(m.mean)} [${short(m.low)}, ${short(m.high)}]`;
    const holds = (m) => `which ${m.low <= found.gradient && found.gradient <= m.high ? "holds" : "does not hold"} it`;
    said.textContent = `Exact gradient ${short(found.gradient)}: smooth part ${short(found.smooth)}, boundary term ${short(found.boundary)}. `
      + `Means of ${SAMPLES.toLocaleString("en")} samples with 95 % limits: REINFORCE ${side(found.reinforce)}, ${holds(found.reinforce)}; `
      + `pathwise ${side(found.pathwise)}, ${holds(found.pathwise)}.`;
    const plain = ({ mean, low, high }) => [mean, low, high];
    said.dataset.numbers = JSON.stringify({
      ...knobs, smooth: found.smooth, boundary: found.boundary, gradient: found.gradient,
      reinforce: plain(found.reinforce), pathwise: plain(found.pathwise),
    });
  }

  function recall() {
    const [place, query] = location.hash.slice(1).split("?");
    if (place !== root.id) return;
    for (const [name, value] of new URLSearchParams(query || "")) {
      if (KNOBS.includes(name) && value !== "" && Number.isFinite(Number(value))) form.elements[name].value = value;
    }
    root.scrollIntoView();
  }

  form.addEventListener("input", () => {
    show();
    try { history.replaceState(null, "", `#${root.id}?${new URLSearchParams(state())}`); } catch { /* not allowed here */ }
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input"))));
  window.addEventListener("hashchange", () => { recall(); show(); });
  let before = 0;
  new ResizeObserver(() => { if (stage.clientWidth !== before) { before = stage.clientWidth; show(); } }).observe(stage);
  root.classList.add("alive");
  recall();
  show();
})();
