// App Bridge and fragments. The document that loads this holds no data: the Dashboard hands over a token by message,
// and every fragment is fetched with it. Addresses inside the app are paths below `base`, for example "/accounts".
(() => {
  "use strict";

  const PATIENCE = 10000; // milliseconds that the Dashboard is given to hand over a newer token
  const root = document.documentElement;
  const { base, origins: listed, mount } = document.body.dataset;
  const origins = listed.split(" ");
  const main = document.getElementById("content");
  const asked = new URLSearchParams(location.search);
  const state = { dashboard: null, token: null, path: document.body.dataset.path, loading: null };
  const waiting = new Set();
  let actions = 0;

  // The bridge

  function tell(type, payload = {}) {
    const message = { type, payload: { ...payload, actionId: `vipps-recurring-${++actions}` } };
    // Before the Dashboard has spoken it may be any of those that may frame this page.
    for (const origin of state.dashboard ? [state.dashboard] : origins) {
      window.parent.postMessage(message, origin);
    }
  }

  const heard = {
    handshake: ({ token }) => take(token),
    tokenRefresh: ({ token }) => take(token),
    theme: ({ theme }) => {
      root.dataset.theme = theme === "dark" ? "dark" : "light";
    },
    localeChanged: ({ locale }) => speak(locale),
  };

  window.addEventListener("message", (event) => {
    if (event.source !== window.parent || !origins.includes(event.origin)) return;
    const { type, payload } = event.data ?? {};
    state.dashboard = event.origin;
    if (Object.hasOwn(heard, type)) heard[type](payload ?? {});
  });

  function take(token) {
    if (typeof token !== "string" || !token) return;
    const first = state.token === null;
    state.token = token;
    waiting.forEach((go) => go());
    if (first) open(state.path);
  }

  /** The Dashboard tells its language after it has opened us: where ours is another, the document is asked for anew. */
  function speak(locale) {
    const now = asked.get("locale") ?? root.lang;
    const primary = (code) => code.split(/[-_]/)[0].toLowerCase();
    if (typeof locale !== "string" || primary(locale) === primary(now)) return;
    asked.set("locale", locale);
    location.replace(`${location.pathname}?${asked}`);
  }

  /** Resolves when there is another token than `old`, or when patience ends. */
  function newer(old) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        waiting.delete(look);
        resolve();
      };
      const look = () => state.token !== old && done();
      const timer = setTimeout(done, PATIENCE);
      waiting.add(look);
      look();
      tell("notifyReady"); // is answered with a handshake, and that with a token
    });
  }

  // Fragments

  /** One request with the token. Where that has expired nothing was done yet, so it is asked once more with a new one. */
  async function ask(path, { search, ...options } = {}) {
    for (let last = false; ; last = true) {
      const used = state.token;
      const headers = { Authorization: `Bearer ${used}`, "Accept-Language": root.lang };
      if (search) headers["Search-For"] = encodeURIComponent(search);
      const answer = await fetch(`${base}/content${path}`, { ...options, headers, cache: "no-store", credentials: "omit" });
      if (answer.status !== 401 || last) return answer;
      await newer(used);
    }
  }

  async function open(path, { focus = false, search } = {}) {
    state.loading?.abort();
    const loading = (state.loading = new AbortController());
    main.setAttribute("aria-busy", "true");
    try {
      show(await html(await ask(path, { search, signal: loading.signal })), path, focus);
    } catch {
      if (loading.signal.aborted) return;
      main.replaceChildren(failure(() => open(path, { focus: true, search })));
    } finally {
      if (!loading.signal.aborted) main.removeAttribute("aria-busy");
    }
  }

  async function html(answer) {
    if (!answer.headers.get("Content-Type")?.startsWith("text/html")) throw new Error(`no page: ${answer.status}`);
    return answer.text();
  }

  function show(text, asked, focus) {
    main.innerHTML = text;
    const page = main.querySelector("[data-title]");
    if (page) document.title = page.dataset.title;
    route(page?.dataset.path ?? asked);
    for (const it of main.querySelectorAll("[data-notify]")) {
      tell("notification", { status: it.dataset.notify, title: it.dataset.heading, text: it.textContent.trim() });
    }
    if (focus) (main.querySelector("[aria-invalid=true], [data-focus]") ?? main.querySelector("h1, h2"))?.focus();
  }

  function route(path) {
    for (const link of document.querySelectorAll(".bar a")) {
      const section = inside(link);
      const here = path === section || path.startsWith(`${section}/`) || path.startsWith(`${section}?`);
      here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
    if (path === state.path || mount) return;
    state.path = path;
    // The Dashboard makes the entry in the browser's history; a second one here would need two steps back.
    history.replaceState(null, "", base + path.split("?")[0] + location.search);
    tell("updateRouting", { newRoute: path });
  }

  function failure(again) {
    const notice = document.getElementById("failed").content.cloneNode(true).firstElementChild;
    notice.querySelector("button").addEventListener("click", () => {
      notice.remove();
      again();
    });
    return notice;
  }

  async function send(form, submitter) {
    if (form.ariaBusy === "true") return; // the second click of a double click
    form.ariaBusy = "true";
    form.querySelector("[data-refused]")?.remove();
    const data = new URLSearchParams(new FormData(form, submitter));
    try {
      const many = data.getAll("item").length > form.dataset.size;
      const text = many ? await workOff(form, data, { posted, failure }) : await posted(form, data);
      if (text) refused(form, text) || show(text, state.path, true);
    } catch {
      form.prepend(failure(() => send(form, submitter))); // what was typed stays where it is
    }
    form.ariaBusy = "false";
  }

  /** Whether the answer is a refusal instead of a page: it is said in the form, and what was typed stays where it is. */
  function refused(form, text) {
    const said = new DOMParser().parseFromString(text, "text/html").querySelector("[data-refused]");
    if (!said) return false;
    form.prepend(said);
    said.focus();
    return true;
  }

  async function posted(form, data) {
    return html(await ask(addressOf(form).slice("/content".length), { method: "POST", body: data }));
  }

  /** By its attribute: a field called "action" hides the property of that name. */
  const addressOf = (form) => new URL(form.getAttribute("action"), location).pathname.slice(base.length);

  // What people do

  const inside = (link) => link.pathname.slice(base.length) + link.search;

  /** The second click of a double click meets whatever has come in the place of the first one's. */
  const once = (event) => {
    if (event.detail < 2 || !event.target.closest("a[href], button")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("click", once, true);

  document.addEventListener("submit", (event) => {
    event.preventDefault();
    event.target.getAttribute("method") === "get" ? search(event.target) : send(event.target, event.submitter);
  });

  /** A form that only looks for something is an address; what may be about a person goes beside it, in a header. */
  function search(form) {
    const beside = form.querySelector("[data-search]")?.name;
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    const typed = asked.get(beside);
    asked.delete(beside);
    open(`${addressOf(form)}?${asked}`, { focus: true, search: typed });
  }

  /** A file that only the token opens: fetched, and handed to the browser under its name. */
  async function download(link) {
    const answer = await ask(inside(link), { search: link.dataset.searchFor });
    if (!answer.ok) return show(await html(answer), state.path, true);
    const address = URL.createObjectURL(await answer.blob());
    Object.assign(document.createElement("a"), { href: address, download: link.dataset.download }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  /** The newer way of copying is closed to frames. */
  function copy(button) {
    document.getElementById(button.dataset.copy).select();
    if (document.execCommand("copy")) button.textContent = button.dataset.copied;
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copy]");
    if (button) copy(button);
  });

  document.addEventListener("change", ({ target }) => {
    if (target.type !== "checkbox" || !target.form) return;
    const { all = target.name } = target.dataset;
    for (const it of target.form.elements) {
      if (target.dataset.all && it.name === all) it.checked = target.checked;
      if (it.dataset.all === all && !target.checked) it.checked = false; // who takes one out does not mean all
    }
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (link.hasAttribute("data-download")) {
      download(link).catch(() => link.after(failure(() => link.click())));
    } else if (link.hasAttribute("data-dashboard")) {
      tell("redirect", { to: link.getAttribute("href") });
    } else if (link.origin !== location.origin) {
      tell("redirect", { to: link.href, newContext: true });
    } else if (link.hash || !link.pathname.startsWith(`${base}/`)) {
      return;
    } else {
      open(inside(link), { focus: true, search: link.dataset.searchFor });
    }
    event.preventDefault();
  });

  if (mount === "widget") {
    new ResizeObserver(() => tell("widgetResize", { height: Math.ceil(root.scrollHeight) })).observe(document.body);
  }
  tell("notifyReady");
})();
