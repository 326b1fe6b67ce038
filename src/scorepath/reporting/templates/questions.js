// The interactive figure of section 2, and questions that an address opens: #try?sigma=0.3&k=4&h=1, #question-chain.
// It computes what scorepath/questions/one_step.py computes, from the same random numbers. Without this script the
// figure that the study has drawn stands here.
(() => {
  for (const address of ["hashchange", "DOMContentLoaded"]) {
    window.addEventListener(address, () => {
      const target = document.getElementById(location.hash.slice(1));
      const own = target && target.closest("details");
      if (own && !own.open) { own.open = true; target.scrollIntoView(); }
    });
  }
  const closed = [];
  window.addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details.question:not([open])")) closed.push(each), each.open = true;
  });
  window.addEventListener("afterprint", () => { for (const each of closed.splice(0)) each.open = false; });

  const root = document.getElementById("try");
  if (!root) return;
  const form = root.querySelector("form"), stage = root.querySelector(".stage"), said = root.querySelector("output");
  const MEAN = 0.2, EDGE = 0.3, SAMPLES = 4000, SEED = 22, NORMAL = 1.959964;
  const RANGES = { sigma: [0.02, 1], k: [0, 20], h: [-3, 3] };

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
    const square = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (SAMPLES - 1);
    const half = NORMAL * Math.sqrt(square / SAMPLES);
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

  // --- drawing: one SVG as wide as the page lets it be, so that its text keeps its size ---------------------------
  const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" ${more}>${words}</text>`;
  const line = (x1, y1, x2, y2, look) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" ${look}/>`;
  const short = (x) => (Math.abs(x) < 0.005 ? "0.00" : x.toFixed(2)).replace("-", "−");
  const scale = (low, high, from, to) => (x) => from + (Math.min(Math.max(x, low), high) - low) / (high - low) * (to - from);

  function ticks(low, high, x, y) {
    const step = 10 ** Math.floor(Math.log10(high - low));
    const wide = (high - low) / step > 4 ? step : step / 2;
    let out = line(x(low), y, x(high), y, 'class="axis"');
    for (let n = Math.ceil(low / wide); n * wide <= high; n += 1) {
      out += line(x(n * wide), y, x(n * wide), y + 4, 'class="axis"');
      out += text(x(n * wide), y + 16, String(+(n * wide).toPrecision(3)).replace("-", "−"), 'text-anchor="middle"');
    }
    return out;
  }

  function drawReward({ sigma, k, h }, left, right, top) {
    const reach = 3.2 * Math.max(sigma, 0.1), low = MEAN - reach, high = MEAN + reach;
    const x = scale(low, high, left, right), y = scale(-1.1 + Math.min(h, 0), 1.1 + Math.max(h, 0), top + 150, top + 14);
    const at = (n) => low + (high - low) * n / 240;
    let curve = "", hill = `M${left},${top + 150}`, before = low;
    for (let n = 0; n <= 240; n += 1) {
      const a = at(n), move = n === 0 || (before <= EDGE && a > EDGE && h !== 0);
      curve += `${move ? "M" : "L"}${x(a).toFixed(1)},${y(reward(a, k, h)).toFixed(1)}`;
      hill += `L${x(a).toFixed(1)},${(top + 150 - 60 * Math.exp(-(((a - MEAN) / sigma) ** 2) / 2)).toFixed(1)}`;
      before = a;
    }
    return text(left, top + 6, "reward f(a), and the density of a", 'class="head"')
      + `<path d="${hill}L${right},${top + 150}Z" class="hill"/>`
      + (h ? line(x(EDGE), y(reward(EDGE, k, 0)), x(EDGE), y(reward(EDGE, k, 0) + h), 'class="jump"') : "")
      + `<path d="${curve}" class="curve"/>` + ticks(low, high, x, top + 150);
  }

  function drawSamples(found, left, right, top) {
    const sides = [["reinforce", "REINFORCE: f ε/σ"], ["pathwise", "pathwise: f′(a)"]];
    const sorted = sides.flatMap(([side]) => [...found[side].samples]).sort((a, b) => a - b);
    const reach = Math.max(1, Math.abs(sorted[80]), Math.abs(sorted[sorted.length - 81]), Math.abs(found.gradient)) * 1.1;
    const x = scale(-reach, reach, left, right), bins = 48;
    let out = text(left, top + 6, "samples of the gradient, their mean", 'class="head"');
    sides.forEach(([side, words], row) => {
      const counts = new Array(bins).fill(0), foot = top + 76 + 74 * row;
      for (const s of found[side].samples) counts[Math.min(bins - 1, Math.max(0, Math.floor((s + reach) / (2 * reach) * bins)))] += 1;
      const most = Math.max(...counts), width = (right - left) / bins;
      counts.forEach((count, n) => {
        if (count) out += `<rect x="${(left + n * width).toFixed(1)}" y="${(foot - 42 * count / most).toFixed(1)}" width="${(width - 0.6).toFixed(1)}" height="${(42 * count / most).toFixed(1)}" class="${side} faint"/>`;
      });
      const m = found[side];
      out += line(left, foot, right, foot, 'class="axis"') + text(left, foot - 50, words, `class="${side} words"`);
      out += line(x(m.low), foot, x(m.high), foot, `class="${side} bar"`) + `<circle cx="${x(m.mean)}" cy="${foot}" r="4" class="${side}"/>`;
    });
    out += line(x(found.gradient), top + 22, x(found.gradient), top + 150, 'class="truth"');
    return out + ticks(-reach, reach, x, top + 150);
  }

  function drawParts(found, left, right, top) {
    const rows = [["exact gradient", found.gradient, "ink"], ["of it: boundary term", found.boundary, "boundary"],
      ["of it: smooth part", found.smooth, "pathwise"], ["mean of REINFORCE", found.reinforce, "reinforce"],
      ["mean of pathwise", found.pathwise, "pathwise"]];
    const ends = rows.flatMap(([, value]) => (typeof value === "number" ? [value] : [value.low, value.high]));
    const low = Math.min(-0.1, ...ends) * 1.15, high = Math.max(0.1, ...ends) * 1.15;
    const start = left + 140, x = scale(low, high, start, right - 46);
    let out = text(left, top + 6, "the gradient’s parts, and who sees them", 'class="head"');
    out += line(x(0), top + 16, x(0), top + 20 + 24 * rows.length, 'class="axis"');
    rows.forEach(([words, value, look], row) => {
      const y = top + 32 + 24 * row, number = typeof value === "number" ? value : value.mean;
      out += text(left, y + 4, words) + text(right, y + 4, short(number), 'text-anchor="end"');
      out += `<rect x="${Math.min(x(0), x(number))}" y="${y - 7}" width="${Math.max(Math.abs(x(number) - x(0)), 0.5)}" height="14" class="${look}${number === value ? "" : " faint"}"/>`;
      if (number !== value) out += line(x(value.low), y, x(value.high), y, `class="${look} bar"`);
    });
    return out + line(x(found.gradient), top + 16, x(found.gradient), top + 20 + 24 * rows.length, 'class="truth"');
  }

  function draw(knobs, found) {
    const width = Math.max(280, stage.clientWidth), wide = width >= 640, half = wide ? width / 2 - 14 : width - 2;
    const second = wide ? 0 : 196, third = wide ? 200 : 392, height = third + 150;
    stage.innerHTML = `<svg width="${width}" height="${height}" role="img" aria-label="The reward, histograms of both estimators’ samples, and bars of the exact gradient, its boundary term and both means; the numbers stand below.">`
      + drawReward(knobs, 2, half, 8) + drawSamples(found, wide ? width / 2 + 14 : 2, width - 2, 8 + second)
      + drawParts(found, 2, Math.min(width - 2, 760), 8 + third) + "</svg>";
  }

  // --- the state: in the form, in the address, in words -----------------------------------------------------------
  function state() {
    return Object.fromEntries(Object.keys(RANGES).map((name) => [name, Number(form.elements[name].value)]));
  }

  function show() {
    const knobs = state(), found = compute(knobs);
    for (const name of Object.keys(RANGES)) form.elements[name].nextElementSibling.textContent = String(knobs[name]).replace("-", "−");
    draw(knobs, found);
    const side = (m) => `${short(m.mean)} [${short(m.low)}, ${short(m.high)}]`;
    const misses = (m) => (m.low <= found.gradient && found.gradient <= m.high ? "which holds it" : "which does not hold it");
    said.textContent = `Exact gradient ${short(found.gradient)}: smooth part ${short(found.smooth)}, boundary term ${short(found.boundary)}. `
      + `Means of ${SAMPLES.toLocaleString("en")} samples with 95 % limits: REINFORCE ${side(found.reinforce)}, ${misses(found.reinforce)}; `
      + `pathwise ${side(found.pathwise)}, ${misses(found.pathwise)}.`;
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
      if (name in RANGES && value !== "" && Number.isFinite(Number(value))) form.elements[name].value = value;
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
  for (const name of Object.keys(RANGES)) [form.elements[name].min, form.elements[name].max] = RANGES[name];
  root.classList.add("alive");
  recall();
  show();
})();
