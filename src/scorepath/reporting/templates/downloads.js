// Saves a table as CSV: the page carries it compressed. A figure's link to its table does the same.
(() => {
  if (!("DecompressionStream" in window)) return; // then the link saves what it holds, the compressed file
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-table], .downloads a[download]");
    const name = link?.dataset.table ?? link?.download.replace(".csv.gz", "");
    const carrier = name && document.querySelector(`#table-${name} a`);
    if (!carrier) return;
    event.preventDefault();
    const bytes = Uint8Array.from(atob(carrier.href.split(",")[1]), (sign) => sign.charCodeAt(0));
    const content = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const address = URL.createObjectURL(new Blob([await new Response(content).arrayBuffer()], { type: "text/csv" }));
    element("a", { href: address, download: `${name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });
})();
