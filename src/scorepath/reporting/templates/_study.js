// What the scripts of this page share: the study's data, numbers as words, elements, the state in the address, and the
// focus that arrow keys move. Scripts are joined in the order of their names; none is needed to read the page.
const study = JSON.parse(document.getElementById("study").textContent);
document.documentElement.classList.add("scripted");

/** Rows of columns: words lie as names and codes. */
function rowsOf(columns) {
  const names = Object.keys(columns);
  const first = columns[names[0]];
  const length = (first.codes ?? first).length;
  return Array.from({ length }, (_, index) => Object.fromEntries(names.map((name) => {
    const column = columns[name];
    return [name, column.codes ? column.names[column.codes[index]] : column[index]];
  })));
}

/** Every cell; its command is put together here, for the page carries what commands share once. */
const cellsOf = () => rowsOf(study.cells).map((row) => ({
  ...row, command: row.command.replace(/\{(\w+)\}/g, (_, name) => row[name]),
}));

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** A number as the page's tables have it: three digits, a true minus, powers of ten as such, a dash for none. */
function words(value, digits = 3) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "string") return value;
  if (value === 0) return "0";
  if (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5) {
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 10 }).replace("-", "−");
  }
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${mantissa.replace("-", "−")}×10${[...String(Number(exponent))].map((sign) => SUPERSCRIPTS[sign]).join("")}`;
}

/** A noise level as addresses and filters write it. */
const sigmaWords = (value) => (value === null ? "" : String(value));

/** An element with attributes and children; text is never taken for markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Value and limits in a table's field. */
function interval(value, low, high) {
  const field = element("td", { class: "n" }, words(value));
  if (low !== null && low !== undefined && value !== null) {
    field.append(" ", element("small", {}, `[${words(low)}, ${words(high)}]`));
  }
  return field;
}

/** A command, and a button that copies it. */
function command(text) {
  return text ? [element("code", {}, text), " ",
    element("button", { type: "button", class: "copy", "aria-label": `copy ${text}` }, "copy")] : [];
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  getSelection().selectAllChildren(code); // where nothing may write to the clipboard, it is ready for Ctrl-C
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    if (!document.execCommand("copy")) return;
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

/** The state of a section in the address, `#section?name=value&...`; null if the address names another. */
function recalled(section) {
  const [place, text] = location.hash.slice(1).split("?");
  return place === section ? new URLSearchParams(text ?? "") : null;
}

function remember(section, state) {
  const text = new URLSearchParams(state).toString();
  try { history.replaceState(null, "", text ? `#${section}?${text}` : `#${section}`); } catch { /* not allowed here */ }
}

/** One tab stop for all that matches in a table: arrow keys, Home and End move it. `leave` is told of steps beyond. */
function roving(body, selector, leave = () => false) {
  const grid = () => [...body.rows].map((row) => [...row.querySelectorAll(selector)]).filter((row) => row.length);
  body.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const own = event.target.closest(selector);
    if (!own || !(step || event.key === "Home" || event.key === "End")) return;
    const rows = grid();
    const y = rows.findIndex((row) => row.includes(own));
    const x = rows[y].indexOf(own);
    const row = rows[y + (step?.[0] ?? 0)];
    const next = event.key === "Home" ? rows[y][0] : event.key === "End" ? rows[y].at(-1)
      : row?.[Math.min(x + step[1], row.length - 1)];
    event.preventDefault();
    if (next) next.focus(); else if (step[0]) leave(step[0]);
  });
  body.addEventListener("focusin", (event) => {
    const own = event.target.closest(selector);
    if (!own) return;
    for (const other of body.querySelectorAll(`${selector}[tabindex="0"]`)) other.tabIndex = -1;
    own.tabIndex = 0;
  });
  return () => grid().flat().forEach((other, index) => { other.tabIndex = index ? -1 : 0; });
}

// A region is a tab stop only where it hides something and holds no other stop, whose focus scrolls it too.
function onlyScrollersStop() {
  for (const region of document.querySelectorAll(".scroll, .sheet, pre")) {
    const scrolls = region.scrollWidth > region.clientWidth + 1 || region.scrollHeight > region.clientHeight + 1;
    if (scrolls && !region.querySelector("a, button, input, select, summary, [role=slider]")) region.tabIndex = 0; else region.removeAttribute("tabindex");
  }
}
addEventListener("resize", onlyScrollersStop);
addEventListener("load", onlyScrollersStop);
document.addEventListener("toggle", onlyScrollersStop, true);
