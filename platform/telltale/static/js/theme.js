/* Before the first paint: the theme a person chose, so that the page does not flash. */
(function () {
  "use strict";
  try {
    var saved = window.localStorage.getItem("theme");
    if (saved === "dark" || saved === "light") document.documentElement.dataset.theme = saved;
  } catch (e) { /* private mode */ }
})();
