/* The review page: verdict and scores by digits, a hold that is kept while somebody reads. Works without it, by hand. */
(function () {
  "use strict";
  var form = document.querySelector("form[data-review]");
  var start = document.querySelector("form[data-start]");

  function editable(el) { return el && (/^(TEXTAREA|SELECT)$/.test(el.tagName) || (el.tagName === "INPUT" && el.type !== "radio")); }
  function say(text) { var live = document.getElementById("live"); if (live) live.textContent = text; }

  /* Whoever opens the page wants an answer: hold it at once, without a step that "back" would fall into again. */
  if (start && !form) {
    fetch(start.action, { method: "POST", body: new FormData(start), credentials: "same-origin" }).then(function (answer) {
      if (answer.ok && answer.redirected) window.location.replace(answer.url);
    }, function () { /* the button is there */ });
  }

  var rows = form ? Array.prototype.slice.call(form.querySelectorAll("[data-row]")) : [];
  var at = 0;
  function isDone(row) { return row.querySelector("input:checked") !== null; }
  function go(place, quiet) {
    rows.forEach(function (row) { row.removeAttribute("data-active"); });
    at = Math.max(0, Math.min(place, rows.length));
    if (at < rows.length) {
      rows[at].setAttribute("data-active", "");
      if (!quiet) rows[at].scrollIntoView({ block: "nearest" });
    }
  }
  function pick(digit) {
    var row = rows[Math.min(at, rows.length - 1)];
    var choice = row && row.querySelector('input[data-digit="' + digit + '"]');
    if (!choice) return false;
    choice.checked = true;
    say(row.querySelector("legend").textContent + ": " + choice.parentNode.textContent.trim());
    go(at + 1);
    return true;
  }

  if (form) {
    go(Math.max(0, rows.findIndex(function (row) { return !isDone(row); })), true);
    rows.forEach(function (row, place) {
      row.addEventListener("change", function () { go(place + 1, true); });
    });
    var renew = function () {
      fetch(form.dataset.renew, { method: "POST", body: new FormData(form), credentials: "same-origin", headers: { "X-Unattended": "1" } }).then(function (answer) {
        if (answer.status === 409) say("Your hold on this answer ran out. Saving still works while nobody else took it.");
      }, function () { /* offline: the next time */ });
    };
    setInterval(function () { if (!document.hidden) renew(); }, 120000);
    document.addEventListener("visibilitychange", function () { if (!document.hidden) renew(); });
  }

  /* A page says one thing: a key that is pressed again while the next page is on its way says nothing more. */
  var sent = false;
  document.addEventListener("submit", function (ev) {
    if (!ev.target.matches("form[data-once]")) return;
    if (sent) { ev.preventDefault(); return; }
    sent = true;
    setTimeout(function () { sent = false; }, 5000);
  });

  /* Before the keys of every page: here digits, Enter and ? mean something of their own. */
  document.addEventListener("keydown", function (ev) {
    if (ev.metaKey || ev.ctrlKey || ev.altKey || document.querySelector("dialog[open]")) return;
    var taken = true;
    if (editable(ev.target)) return;
    /* A key that is held down is meant once: the next answer is nobody's to save unseen. */
    if (ev.repeat && /^(Enter|[0-9]|s|u)$/.test(ev.key)) { ev.preventDefault(); ev.stopImmediatePropagation(); return; }
    if (ev.key === "?") document.getElementById("review-keys").showModal();
    else if (ev.key === "u" && document.getElementById("undo")) document.getElementById("undo").click();
    else if (!form) return;
    else if (/^[0-9]$/.test(ev.key)) taken = pick(ev.key);
    else if (ev.key === "ArrowDown" || ev.key === "ArrowUp") {
      if (ev.target.type === "radio") return;
      go(at + (ev.key === "ArrowDown" ? 1 : -1));
    } else if (ev.key === "n") document.getElementById("note").focus();
    else if (ev.key === "e" && document.getElementById("dataset")) document.getElementById("dataset").focus();
    else if (ev.key === "s") document.getElementById("skip").click();
    else if (ev.key === "Enter" && !/^(A|BUTTON|SUMMARY)$/.test(ev.target.tagName)) document.getElementById("save").click();
    else return;
    if (taken) { ev.preventDefault(); ev.stopImmediatePropagation(); }
  }, true);
})();
