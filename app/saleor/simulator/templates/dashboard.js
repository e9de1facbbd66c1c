// The host's side of App Bridge, as a Dashboard 3.23 plays it: what it posts when a frame has loaded, what it answers to
// actions, and the token that it renews before it runs out. `window.bridge` is there for tests to look at and to poke.
(() => {
  "use strict";
  const setup = JSON.parse(document.body.dataset.setup);
  const mounted = "/dashboard";
  const appPath = `${mounted}/extensions/app/`;
  const sandbox = "allow-same-origin allow-forms allow-scripts allow-downloads allow-popups";
  const early = 30; // seconds before its end a token is renewed
  const main = document.querySelector("main");
  const choice = (name) => document.getElementById(name);
  const bridge = (window.bridge = { frame: null, app: null, token: null, extension: null, sent: [], heard: [], toasts: [], refreshing: true });
  let timer = 0;

  // The frame

  function open() {
    clearTimeout(timer);
    bridge.frame = bridge.app = bridge.token = bridge.extension = null;
    const path = location.pathname;
    const [id, ...deep] = path.startsWith(appPath) ? path.slice(appPath.length).split("/") : [];
    const app = setup.apps.find((it) => it.id === decodeURIComponent(id ?? ""));
    if (!app && own(path)) return;
    if (!app) {
      main.replaceChildren(paragraph(`The Dashboard's own page ${path.slice(mounted.length) || "/"} is not simulated.`));
      return;
    }
    frameOf(app, app.name, `${app.url}${deep.length ? `/${deep.join("/")}` : ""}?${parameters(app)}`);
  }

  function frameOf(app, title, address) {
    bridge.app = app;
    const frame = document.createElement("iframe");
    frame.title = title;
    frame.setAttribute("sandbox", sandbox);
    frame.addEventListener("load", greet);
    frame.src = address;
    bridge.frame = frame;
    main.replaceChildren(frame);
  }

  /** The Dashboard's own lists and pages: with the first app's widget on an order or a customer. */
  function own(path) {
    const [, kind, id] = path.match(/^\/dashboard(?:\/(orders|customers|products)(?:\/([^/]+))?)?\/?$/) ?? [];
    if (!kind && !/^\/dashboard\/?$/.test(path)) return false;
    main.replaceChildren();
    if (id) widget(kind.slice(0, -1), id);
    part(`${kind ?? "orders"}${id ? `/${id}` : ""}`);
    return true;
  }

  async function part(name) {
    const answer = await fetch(`${mounted}/parts/${name}`);
    const section = document.createElement("section");
    if (answer.ok) section.innerHTML = await answer.text();
    else section.append(paragraph("This shop has nothing of that kind."));
    main.prepend(section);
  }

  /** Parameters come twice there. */
  function widget(page, id) {
    for (const app of setup.apps) {
      const found = app.widgets.find((it) => it.mount === `${page}_details_widgets`);
      if (!found) continue;
      const asked = `${parameters(app)}&${page}Id=${id}`;
      frameOf(app, found.label, `${found.url}?${asked}&${asked}`);
      bridge.extension = found.id;
      bridge.frame.className = "widget";
      main.prepend(heading(`${app.name}: ${found.label}`));
      return;
    }
  }

  function heading(text) {
    const made = document.createElement("h2");
    made.textContent = text;
    return made;
  }

  function parameters(app) {
    const found = new URLSearchParams({ domain: setup.domain, saleorApiUrl: setup.apiUrl, id: app.id });
    found.append("featureFlags[new_order_ui][enabled]", "false");
    found.append("featureFlags[new_order_ui][payload]", "default");
    found.append("theme", choice("theme").value);
    for (const [name, value] of new URLSearchParams(location.search)) found.append(name, value);
    return found;
  }

  const origin = () => new URL(bridge.app.url).origin;

  function post(type, payload) {
    if (!bridge.frame) return;
    note("→", { type, payload }, bridge.sent);
    bridge.frame.contentWindow.postMessage({ type, payload }, origin());
  }

  async function fetchToken() {
    const wanted = { app: bridge.app.id, staff: choice("staff").value, extension: bridge.extension ?? "" };
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${mounted}/token`, { method: "POST", headers, body: JSON.stringify(wanted) });
    const { token, seconds } = await answer.json();
    bridge.token = token;
    clearTimeout(timer);
    timer = setTimeout(() => bridge.refreshing && refresh(), (seconds - early) * 1000);
  }

  async function refresh() {
    await fetchToken();
    post("tokenRefresh", { token: bridge.token });
  }

  async function handshake() {
    if (!bridge.token) await fetchToken();
    const { saleorVersion, dashboardVersion } = setup;
    post("handshake", { token: bridge.token, version: 1, saleorVersion, dashboardVersion });
  }

  async function greet() {
    await handshake();
    post("localeChanged", { locale: choice("locale").value });
    post("theme", { theme: choice("theme").value });
    post("redirect", { path: location.pathname + location.search });
  }

  // Actions

  const actions = {
    // Who asks again has a token that is of no use, as after a moved clock.
    notifyReady: () => {
      if (bridge.heard.filter((message) => message.type === "notifyReady").length > 1) bridge.token = null;
      return handshake();
    },
    notification: ({ status, title, text }) => toast(status, title, text),
    updateRouting: ({ newRoute }) => {
      history.pushState(null, "", `${appPath}${encodeURIComponent(bridge.app.id)}${newRoute}`);
    },
    redirect: ({ to, newContext }) => {
      if (newContext) window.open(to, "_blank", "noopener");
      else if (to.startsWith("/")) {
        history.pushState(null, "", mounted + to);
        open();
      } else if (window.confirm(`Leave the Dashboard for ${to}?`)) location.assign(to);
    },
    widgetResize: ({ height }) => {
      bridge.frame.style.height = `${Math.min(height, 5000)}px`;
    },
  };

  window.addEventListener("message", ({ origin: from, source, data }) => {
    if (!bridge.frame || source !== bridge.frame.contentWindow || from !== origin()) return;
    const action = data?.type;
    const id = data?.payload?.actionId;
    if (!id || !Object.hasOwn(actions, action)) return;
    note("←", data, bridge.heard);
    post("response", { actionId: id, ok: true });
    actions[action](data.payload);
  });

  // What staff see of it

  function paragraph(text) {
    const made = document.createElement("p");
    made.textContent = text;
    return made;
  }

  function toast(status, title, text) {
    const made = paragraph([title, text].filter(Boolean).join(": "));
    made.className = status;
    bridge.toasts.push({ status, title, text });
    choice("toasts").append(made);
    setTimeout(() => made.remove(), 5000);
  }

  function note(arrow, message, kept) {
    kept.push(message);
    const line = document.createElement("li");
    const shown = JSON.stringify(message, (name, value) => (name === "token" ? "<jwt>" : value));
    line.textContent = `${arrow} ${shown}`;
    document.querySelector("#log ol").append(line);
  }

  choice("refresh").addEventListener("click", refresh);
  choice("staff").addEventListener("change", open);
  choice("locale").addEventListener("change", () => post("localeChanged", { locale: choice("locale").value }));
  choice("theme").addEventListener("change", () => {
    document.documentElement.classList.toggle("dark", choice("theme").value === "dark");
    post("theme", { theme: choice("theme").value });
  });
  window.addEventListener("popstate", open);
  document.documentElement.classList.toggle("dark", choice("theme").value === "dark");
  open();
})();
