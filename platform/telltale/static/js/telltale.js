/* Progressive enhancement only: every page reads and every form posts without this file. */
(function () {
  "use strict";
  var root = document.documentElement;

  function editable(el) { return el && (/^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName) || el.isContentEditable); }
  function say(text) { var live = document.getElementById("live"); if (live) live.textContent = text; }
  function keep(name, value) { try { window.localStorage.setItem(name, value); } catch (e) { /* private mode */ } }

  function forget() { try { window.sessionStorage.clear(); } catch (e) { /* private mode */ } }

  function copied(button) {
    var before = button.textContent;
    button.textContent = "Copied";
    say("Copied to clipboard");
    setTimeout(function () { button.textContent = before; }, 1500);
  }

  /* Without HTTPS there is no clipboard API: select the text, so that Ctrl-C works, and try the old command. */
  function copy(button) {
    var source = document.querySelector(button.dataset.copy);
    if (!source) return;
    var text = source.innerText.trim();
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(function () { copied(button); }, function () { select(source, button); });
    } else {
      select(source, button);
    }
  }
  function select(source, button) {
    var range = document.createRange();
    range.selectNodeContents(source);
    var chosen = window.getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
    if (document.execCommand("copy")) copied(button);
    else say("Selected. Press Control C to copy.");
  }

  document.addEventListener("click", function (ev) {
    var theme = ev.target.closest("[data-theme-toggle]");
    if (theme) {
      var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      keep("theme", root.dataset.theme);
      say(dark ? "Light theme" : "Dark theme");
      document.dispatchEvent(new CustomEvent("telltale:theme", { detail: root.dataset.theme }));
      return;
    }
    var opener = ev.target.closest("[data-open]");
    if (opener) { document.getElementById(opener.dataset.open).showModal(); return; }
    var closer = ev.target.closest("[data-close]");
    if (closer) { closer.closest("dialog").close(); return; }
    var copier = ev.target.closest("[data-copy]");
    if (copier) copy(copier);
    document.querySelectorAll("details.pop[open], details.proj[open], details.more[open]").forEach(function (d) {
      if (!d.contains(ev.target)) d.open = false;
    });
  });

  /* A choice that applies at once where scripts run; without them its form has a button. */
  document.addEventListener("change", function (ev) {
    var form = ev.target.closest("form[data-submit-on-change]");
    if (form) form.requestSubmit();
  });

  /* Keyboard: j/k move, Enter opens, / searches, ? lists the shortcuts, data-key presses that control. */
  document.addEventListener("keydown", function (ev) {
    if (ev.key === "Escape") {
      document.querySelectorAll("details.pop[open], details.proj[open], details.more[open]").forEach(function (d) {
        d.open = false;
        if (d.contains(document.activeElement)) d.querySelector("summary").focus();
      });
      if (editable(document.activeElement)) document.activeElement.blur();
      return;
    }
    if (editable(ev.target) || ev.metaKey || ev.ctrlKey || ev.altKey || document.querySelector("dialog[open]")) return;
    if (ev.key === "/") {
      var box = document.querySelector("input[type=search]");
      if (box) { ev.preventDefault(); box.focus(); }
      return;
    }
    if (ev.key === "?") {
      var help = document.getElementById("keys");
      if (help) { ev.preventDefault(); help.showModal(); }
      return;
    }
    var list = document.querySelector("[data-keylist]");
    if (list && (ev.key === "j" || ev.key === "k")) {
      var items = Array.prototype.slice.call(list.querySelectorAll("[data-item]"));
      var at = items.findIndex(function (x) { return x.hasAttribute("aria-current"); });
      var next = items[Math.max(0, Math.min(items.length - 1, at + (ev.key === "j" ? 1 : -1)))];
      if (next && next !== items[at]) {
        if (at >= 0) items[at].removeAttribute("aria-current");
        next.setAttribute("aria-current", "true");
        next.focus();
        next.scrollIntoView({ block: "nearest" });
      }
      return;
    }
    var hit = document.querySelector('[data-key="' + CSS.escape(ev.key) + '"]');
    if (hit) { ev.preventDefault(); hit.click(); }
  });

  /* Signed out in one tab, or the session has run out: what tabs show is no longer for whoever sits there. */
  function leave() {
    forget();
    location.replace("/accounts/login/?next=" + encodeURIComponent(location.pathname + location.search));
  }
  document.addEventListener("submit", function (ev) {
    if (new URL(ev.target.action, location.href).pathname !== "/accounts/logout/") return;
    keep("left", String(Date.now()));
    forget();
  });
  window.addEventListener("pageshow", function (ev) { if (ev.persisted) location.reload(); });
  var idle = Number(document.body.dataset.idle) * 1000, endsAt = Date.now() + Number(document.body.dataset.left) * 1000;
  var used = Date.now();
  function use() { used = Date.now(); keep("used", String(used)); }
  function lastUse() { try { return Math.max(used, Number(window.localStorage.getItem("used"))); } catch (e) { return used; } }
  if (idle) {
    use();
    document.addEventListener("telltale:used", use);
    window.addEventListener("storage", function (ev) { if (ev.key === "left") setTimeout(leave, 300); });
    setInterval(function () {
      if (Date.now() > Math.min(endsAt, lastUse() + idle) + 5000) leave();
    }, 10000);
  }
  /* What a page asks by itself is no use of the session, here and on the server. */
  document.addEventListener("htmx:configRequest", function (ev) {
    if (ev.detail.triggeringEvent && idle) use();
    else if (!ev.detail.triggeringEvent) ev.detail.headers["X-Unattended"] = "1";
  });

  /* A form that failed says so where the person is. */
  var summary = document.querySelector(".errsum");
  if (summary) summary.focus();

  /* Swapped parts announce themselves by data-say. */
  document.addEventListener("htmx:afterSwap", function (ev) {
    var spoken = ev.target.querySelector && ev.target.querySelector("[data-say]");
    if (spoken) say(spoken.dataset.say);
  });

  /* Relative clocks: the server renders the number; this only keeps it moving. */
  setInterval(function () {
    document.querySelectorAll("[data-deadline]").forEach(function (el) {
      var left = Math.round((new Date(el.dataset.deadline) - Date.now()) / 60000);
      el.textContent = left >= 0 ? left + " min left" : -left + " min over";
    });
  }, 30000);
})();
