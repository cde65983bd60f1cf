/* Triage: a key or a thumb says what a response is, and the next one is on the screen at once. Works without it too. */
(function () {
  "use strict";
  /* Decisions are two keys: one goes to the button, Enter presses it. */
  document.addEventListener("keydown", function (ev) {
    if (ev.metaKey || ev.ctrlKey || ev.altKey || document.querySelector("dialog[open]")) return;
    if (/^(TEXTAREA|SELECT|INPUT)$/.test(ev.target.tagName)) return;
    var button = document.querySelector('[data-focus-key="' + CSS.escape(ev.key) + '"]');
    if (button) { ev.preventDefault(); button.focus(); }
  });
  var tri = document.getElementById("tri"), form = document.getElementById("tri-form");
  if (!tri || !form) return;
  var box = document.getElementById("tri-card"), field = form.querySelector("input[name=position]");
  var undo = document.getElementById("tri-undo"), last = document.getElementById("tri-last");
  var left = document.getElementById("tri-left"), told = document.getElementById("tri-said");
  var ready = {}, ahead = [], done = {}, waiting = false, sending = Promise.resolve(), open = 0;
  var LABEL = { real: "Real", "false": "Fine", unsure: "?" }, CSS_OF = { real: "r", "false": "f", unsure: "u" };
  function say(text) { var live = document.getElementById("live"); if (live) live.textContent = text; }
  function warn(text) { told.textContent = text; told.hidden = false; }
  function cell(at) { return document.querySelector('.tri-sample [data-at="' + at + '"]'); }

  function fetched(at) {
    if (!ready[at]) {
      ready[at] = fetch(tri.dataset.card + "?at=" + at, { credentials: "same-origin" }).then(function (answer) {
        if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
        return answer.text();
      });
      ready[at].catch(function () { delete ready[at]; });
    }
    return ready[at];
  }
  function plan(positions) {
    ahead = positions.filter(function (at) { return !done[at]; });
    ahead.slice(0, 3).forEach(fetched);
  }
  function body(more) {
    var data = new FormData(form);
    data.delete("verdict");
    Object.keys(more || {}).forEach(function (name) { data.set(name, more[name]); });
    return data;
  }
  function post(url, data) {
    document.dispatchEvent(new Event("telltale:used"));
    return fetch(url, { method: "POST", body: data, credentials: "same-origin", headers: { Accept: "application/json" } });
  }
  function hold() {
    return post(tri.dataset.hold, body()).then(function (answer) { return answer.ok ? answer.json() : null; }).then(function (known) {
      if (known) plan(known.ahead.filter(function (at) { return at !== Number(field.value); }));
    }, function () { /* offline: the form still works */ });
  }

  function show(at) {
    waiting = true;
    return fetched(at).then(function (html) {
      box.innerHTML = html;
      field.value = at;
      form.querySelectorAll("[aria-pressed]").forEach(function (button) { button.removeAttribute("aria-pressed"); });
      document.querySelectorAll(".tri-sample [aria-current]").forEach(function (each) { each.removeAttribute("aria-current"); });
      if (cell(at)) cell(at).setAttribute("aria-current", "true");
      window.history.replaceState(null, "", tri.dataset.page);
      window.scrollTo(0, 0);
      var heading = box.querySelector("h2");
      if (heading) heading.focus({ preventScroll: true });
      waiting = false;
    }, function () { window.location.assign(tri.dataset.page); });
  }
  function next() {
    var at = ahead.filter(function (each) { return !done[each]; })[0];
    if (at !== undefined) return show(at);
    /* Nothing stands ready: what the server says decides, the next one or the end. */
    waiting = true;
    return sending.then(function () {
      var more = ahead.filter(function (each) { return !done[each]; })[0];
      if (more !== undefined) return show(more);
      window.location.assign(tri.dataset.page);
    });
  }

  function verdict(value) {
    if (waiting) return;
    var at = Number(field.value);
    var data = body({ position: String(at), verdict: value });
    done[at] = value;
    var mark = cell(at), was = mark ? [mark.className, mark.textContent] : null;
    if (mark) { mark.className = CSS_OF[value]; mark.textContent = LABEL[value]; }
    told.hidden = true;
    open += 1;
    sending = sending.then(function () { return post(form.action, data); }).then(function (answer) {
      return answer.json().then(function (known) { return { ok: answer.ok, status: answer.status, known: known }; });
    }).then(function (result) {
      open -= 1;
      if (result.ok) {
        last.value = at;
        undo.form.hidden = false;
        if (left) left.textContent = result.known.left;
        plan(result.known.ahead);
        if (!result.known.left) window.location.assign(tri.dataset.page);
      } else {
        warn(result.known.words || "It is not saved.");
        if (result.status === 409 && result.known.verdict && mark) {
          mark.className = CSS_OF[result.known.verdict] || ""; mark.textContent = LABEL[result.known.verdict] || "";
          return hold();
        }
        lost(at, was);
      }
    }, function () { open -= 1; lost(at, was); warn("Response " + at + " is not saved: the server did not answer. Say it once more."); });
    say(LABEL[value] === "?" ? "Cannot tell" : LABEL[value]);
    next();
  }
  function lost(at, was) {
    delete done[at];
    if (was && cell(at)) { cell(at).className = was[0]; cell(at).textContent = was[1]; }
    ahead.unshift(at);
    show(at);
  }

  form.addEventListener("submit", function (ev) {
    var button = ev.submitter;
    if (!button || !button.value) return;
    ev.preventDefault();
    verdict(button.value);
  });
  if (undo) undo.form.addEventListener("submit", function (ev) {
    if (!open) return;
    /* What is on its way has to arrive before it can be taken back. */
    ev.preventDefault();
    sending.then(function () { undo.form.submit(); });
  });
  window.addEventListener("beforeunload", function (ev) { if (open) ev.preventDefault(); });

  document.addEventListener("keydown", function (ev) {
    if (ev.metaKey || ev.ctrlKey || ev.altKey || document.querySelector("dialog[open]")) return;
    if (/^(TEXTAREA|SELECT|INPUT)$/.test(ev.target.tagName)) return;
    var hit = form.querySelector('[data-digit="' + CSS.escape(ev.key) + '"]');
    var taken = true;
    /* A key that is held down is meant once. */
    if (ev.repeat && (hit || ev.key === "u")) taken = true;
    else if (hit) verdict(hit.value);
    else if (ev.key === "u") { if (!undo.form.hidden) undo.click(); }
    else if (ev.key === "j" || ev.key === "k") {
      var to = cell(Number(field.value) + (ev.key === "j" ? 1 : -1));
      if (to) sending.then(function () { window.location.assign(to.href); });
    } else if (ev.key === "?") document.getElementById("tri-keys").showModal();
    else return;
    if (taken) { ev.preventDefault(); ev.stopImmediatePropagation(); }
  }, true);

  hold();
})();
