(() => {
  const tools = document.querySelector(".tools"), search = document.querySelector("#search"), shown = document.querySelector("#shown");
  const chips = [...document.querySelectorAll(".chips button")];
  const classes = [...document.querySelectorAll(".cases tbody")].map(body => ({
    body,
    rows: [...body.querySelectorAll("tr[data-v]")].map(tr => ({tr, verdicts: tr.dataset.v.split(" "), text: tr.textContent.toLowerCase()})),
  }));
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = chips.filter(c => c.ariaPressed === "true").map(c => c.value);
    let all = 0, left = 0;
    for (const {body, rows} of classes) {
      let here = 0;
      for (const {tr, verdicts, text} of rows) {
        const ok = (!wanted.length || wanted.some(v => verdicts.includes(v))) && words.every(w => text.includes(w));
        tr.hidden = !ok;
        here += ok;
      }
      body.hidden = !here;
      left += here;
      all += rows.length;
    }
    shown.value = left === all ? all + " cases" : left + " of " + all + " cases";
    document.querySelector("#nothing").hidden = left > 0;
  }
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      filter();
    });
  }
  search.addEventListener("input", filter);
  document.querySelector(".filter").hidden = false;
  new ResizeObserver(() => document.documentElement.style.setProperty("--tools", tools.offsetHeight + "px")).observe(tools);
  filter();
})();
