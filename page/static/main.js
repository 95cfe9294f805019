// The page: reads the address, asks, shows, and asks again.

import { Problem, ask, report } from "./api.js";
import { controls } from "./controls.js";
import { showConversation, showConversations, showSql } from "./dialogs.js";
import { element } from "./dom.js";
import { drawCharts, fitCharts, forgetCharts, partOf } from "./parts.js";
import { queryOf, readState, writeState } from "./state.js";
import { useNames } from "./values.js";
import { ago, days, instant, useLanguage, useTimezone, word } from "./words.js";

const REFRESH = 60_000; // ms between two looks at the present
const STALE = 2 * 3600_000; // ms after which the data is old
const views = (report ? report.views : document.body.dataset.views.split(" "));
const language0 = report ? report.language : document.documentElement.lang;
const main = document.querySelector("main");
const header = document.querySelector("body > header");
const announced = document.querySelector("#status");

let state = readState(views);
let known = null;
let answer = null;
let asking = null;
let timer = null;

const language = () => state.lang ?? language0;
const other = () => (language() === "ar" ? "en" : "ar");

function change(changes, replaces = false) {
  state = changes === null ? { view: state.view, lang: state.lang, digits: state.digits } : { ...state, ...changes };
  if (!report) writeState(state, replaces);
  show();
}

function topLine() {
  const tabs = views.map((view) =>
    element("a", {
      href: `?${new URLSearchParams({ ...state, view })}`,
      text: word(`${view}.title`),
      "aria-current": view === state.view ? "page" : null,
      onclick: (event) => {
        event.preventDefault();
        change({ view });
      },
    }),
  );
  const buttons = element(
    "div",
    { className: "buttons" },
    button(other() === "ar" ? "العربية" : "English", () => changeLanguage(other()), other()),
    language() === "ar" ? button(word("top.digits"), changeDigits) : null,
    button(word("top.theme"), changeTheme),
    document.body.dataset.password === "yes" ? signOut() : null,
  );
  header.replaceChildren(
    element("strong", { text: word("top.name") }),
    element("nav", { "aria-label": word("top.views") }, ...tabs),
    buttons,
  );
  // On a phone the tabs are wider than the window.
  const tab = header.querySelector("[aria-current]");
  const [inner, outer] = [tab, tab.parentElement].map((one) => one.getBoundingClientRect());
  tab.parentElement.scrollBy(inner.left - outer.left - (outer.width - inner.width) / 2, 0);
}

function button(text, onclick, lang = null) {
  return element("button", { type: "button", text, onclick, lang });
}

function signOut() {
  const submit = element("button", { type: "submit", text: word("top.sign_out") });
  return element("form", { method: "post", action: "/logout" }, submit);
}

async function changeLanguage(lang) {
  await useLanguage(lang, state.digits);
  change({ lang }, true);
}

async function changeDigits() {
  const digits = state.digits === "arab" ? undefined : "arab";
  await useLanguage(language(), digits);
  change({ digits }, true);
}

function changeTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try {
    window.localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // A browser that keeps nothing asks for its own theme next time.
  }
  if (answer) paint();
}

function say(text, isBusy = false) {
  announced.textContent = text;
  main.setAttribute("aria-busy", String(isBusy));
}

async function show({ quietly = false } = {}) {
  window.clearTimeout(timer);
  asking?.abort();
  const mine = (asking = new AbortController());
  topLine();
  document.title = `${word(`${state.view}.title`)} · ${word("top.name")}`;
  if (!quietly) {
    say(word("states.loading"), true);
    main.classList.add("loading");
  }
  try {
    // What the filters offer changes with the data.
    [known, answer] = await Promise.all([
      ask("/data/choices", "", mine.signal),
      ask(`/data/view/${state.view}`, queryOf(state), mine.signal),
    ]);
    useNames(known.names);
    useTimezone(known.timezone);
    paint();
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(error);
  } finally {
    if (mine === asking) {
      main.classList.remove("loading");
      if (answer?.is_current && !report) timer = window.setTimeout(again, REFRESH);
    }
  }
}

function again() {
  const isOpen = document.querySelector("dialog") !== null;
  if (document.hidden || isOpen) timer = window.setTimeout(again, 5_000);
  else show({ quietly: true });
}

function paint() {
  const opened = [...main.querySelectorAll("details")].map((one) => one.open);
  const focused = document.activeElement?.name;
  forgetCharts();
  const filters = answer.filters;
  const actions = {
    onOpen: report ? null : (id) => showConversation(id, { inbox: "" }),
    onPick: (part, row) => showConversations(answer.view, part, row, queryOf(state)),
    onSql: (part) => showSql(answer.view, part, queryOf(state)),
    queryOf: () => `${queryOf(state)}&lang=${language()}`,
  };
  const shown = [
    element("h1", { text: word(`${answer.view}.question`) }),
    report ? null : controls(state, answer, known, change),
    element("p", { className: "period", text: periodText(filters) }),
    ...freshness(),
  ];
  if (known.is_empty) shown.push(notice("states.no_data"));
  else shown.push(...answer.parts.map((part) => partOf(answer.view, part, filters, actions)));
  main.replaceChildren(...shown.filter(Boolean));
  main.querySelectorAll("details").forEach((one, index) => (one.open = Boolean(opened[index])));
  drawCharts(main);
  if (focused) main.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
  say(word("states.ready", { title: word(`${answer.view}.title`) }));
}

function periodText(filters) {
  if (answer.is_current) return word("period.now", { at: instant(answer.asked_at) });
  const before = days(filters.before_from, filters.before_to);
  return word("period.shown", { period: days(filters.from, filters.to), before });
}

function freshness() {
  if (!known.synced_at) return [notice("states.never_synced")];
  // Two clocks may differ: what is known is never from the future.
  const now = new Date(Math.max(new Date(answer.asked_at), new Date(known.synced_at)));
  const isStale = now - new Date(known.synced_at) > STALE;
  const isNew = now - new Date(known.synced_at) < 60_000;
  const text = word(isStale ? "states.stale" : isNew ? "states.new" : "states.fresh", {
    ago: ago(known.synced_at, now),
    at: instant(known.synced_at),
  });
  return [element("p", { className: isStale ? "fresh warn" : "fresh", text })];
}

function notice(name) {
  return element("p", { className: "notice", role: "status", text: word(name) });
}

function fail(error) {
  if (!(error instanceof Problem)) console.error(error);
  const kind = error instanceof Problem ? error.kind : "unreachable";
  const text = word(`problems.${kind}`);
  const detail = error.detail ? element("p", { className: "detail", dir: "auto", text: error.detail }) : null;
  forgetCharts();
  main.replaceChildren(
    element("h1", { text: word(`${state.view}.question`) }),
    element(
      "div",
      { className: "failed", role: "alert" },
      ...[
        element("p", { text }),
        detail,
        button(word("states.retry"), () => show()),
        " ",
        button(word("filters.reset"), () => change(null)),
      ].filter(Boolean),
    ),
  );
  answer = null;
  say(text);
}

function printing(isPrinting) {
  document.documentElement.toggleAttribute("data-printing", isPrinting);
  if (answer) paint();
}

function restoreTheme() {
  try {
    const theme = window.localStorage.getItem("theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // See changeTheme.
  }
}

async function start() {
  restoreTheme();
  try {
    await useLanguage(language(), state.digits);
  } catch (error) {
    main.textContent = "The page cannot reach its server. تعذّر الوصول إلى الخادم.";
    return;
  }
  window.addEventListener("popstate", () => {
    state = readState(views);
    useLanguage(language(), state.digits).then(() => show());
  });
  // On paper everything is light, pictures too.
  window.addEventListener("beforeprint", () => printing(true));
  window.addEventListener("afterprint", () => printing(false));
  let waiting = null;
  window.addEventListener("resize", () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(fitCharts, 100);
  });
  window
    .matchMedia("(prefers-color-scheme: dark)")
    .addEventListener("change", () => answer && paint());
  await show();
}

start();
