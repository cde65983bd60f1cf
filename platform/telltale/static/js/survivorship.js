/* The slider of the survivorship page moves its figures at once; without this file its form has a button. */
(function () {
  "use strict";
  var slider = document.querySelector("input[data-deltas]");
  if (!slider) return;
  var form = slider.form, steps = {};
  form.querySelectorAll("#delta-steps li").forEach(function (item) { steps[Number(item.dataset.step).toFixed(2)] = item.dataset; });
  function show() {
    var at = steps[Number(slider.value).toFixed(2)];
    if (!at) return;
    form.querySelector("[data-points]").textContent = at.words;
    form.querySelector("[data-rate]").textContent = at.value;
    form.querySelector("[data-limits]").textContent = at.interval;
    slider.setAttribute("aria-valuetext", at.words + " less: " + at.value);
  }
  form.querySelector("button").hidden = true;
  slider.addEventListener("input", show);
  show();
})();
