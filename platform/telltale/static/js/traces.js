/* Trace page: moves the mark to the span whose panel is swapped in; arrow keys go from line to line. */
(function () {
  "use strict";
  function mark(link) {
    var table = link.closest("table");
    if (!table) return;
    table.querySelectorAll("tr.sel").forEach(function (row) { row.classList.remove("sel"); });
    table.querySelectorAll("[aria-current]").forEach(function (item) { item.removeAttribute("aria-current"); });
    link.setAttribute("aria-current", "true");
    link.closest("tr").classList.add("sel");
  }

  document.addEventListener("keydown", function (ev) {
    var step = { ArrowDown: 1, ArrowUp: -1 }[ev.key];
    var here = ev.target.closest && ev.target.closest("table[data-arrows] a");
    if (!step || !here || ev.metaKey || ev.ctrlKey || ev.altKey) return;
    var links = Array.prototype.slice.call(here.closest("table").querySelectorAll("tbody a"));
    var next = links[links.indexOf(here) + step];
    if (next) { ev.preventDefault(); next.focus(); }
  });

  document.addEventListener("htmx:beforeRequest", function (ev) {
    var panel = document.getElementById("span");
    if (panel && ev.detail.target === panel) panel.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterSwap", function (ev) {
    var link = ev.detail.requestConfig && ev.detail.requestConfig.elt;
    if (link && link.matches && link.matches("a[data-item]")) {
      mark(link);
      var live = document.getElementById("live");
      if (live) live.textContent = "Showing " + link.querySelector(".t").textContent;
    }
  });
})();
