/* The page of an incident: a step that an address or a key names opens. Without it the sections open by a click. */
(function () {
  "use strict";
  function show() {
    var id = decodeURIComponent(location.hash.slice(1));
    var el = id && document.getElementById(id);
    var step = el && el.closest("details.step");
    if (step && !step.open) {
      step.open = true;
      el.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", show);
  show();
  document.addEventListener("click", function (ev) {
    var link = ev.target.closest('a[href^="#"]');
    /* The hash may be there already: then nothing changes, but the section may have been closed. */
    if (link && link.getAttribute("href") === location.hash) show();
  });
})();
