/* The inbox: x ticks the current item, a c e q do something with what is ticked, or with the current one. The page and
   its form work without this. */
(function () {
  "use strict";
  var form = document.querySelector("form[data-inbox]");
  if (!form) return;
  var told = form.querySelector("[data-chosen]");
  var words = told ? told.innerHTML : "";

  function boxes() { return Array.prototype.slice.call(form.querySelectorAll('input[name="key"]')); }
  function editable(el) {
    return el && (/^(TEXTAREA|SELECT)$/.test(el.tagName) || (el.tagName === "INPUT" && el.type !== "checkbox") || el.isContentEditable);
  }
  function current() {
    var link = form.querySelector("[data-item][aria-current]") || document.activeElement;
    var row = link && link.closest && link.closest(".initem");
    return row ? row.querySelector('input[name="key"]') : null;
  }
  function count() {
    var n = boxes().filter(function (box) { return box.checked; }).length;
    if (told) { if (n) told.textContent = n + " chosen"; else told.innerHTML = words; }
  }

  form.addEventListener("change", function (ev) {
    if (ev.target.matches("[data-all]")) boxes().forEach(function (box) { box.checked = ev.target.checked; });
    count();
  });
  document.addEventListener("keydown", function (ev) {
    if (editable(ev.target) || ev.metaKey || ev.ctrlKey || ev.altKey || document.querySelector("dialog[open]")) return;
    if (ev.key === "x") {
      var box = current();
      if (box) { box.checked = !box.checked; count(); ev.preventDefault(); }
      return;
    }
    var button = form.querySelector('[data-act="' + CSS.escape(ev.key) + '"]');
    if (!button) return;
    if (!boxes().some(function (one) { return one.checked; })) {
      var here = current();
      if (here) here.checked = true;
    }
    ev.preventDefault();
    button.click();
  });
  count();
})();
