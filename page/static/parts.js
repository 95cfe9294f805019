// The parts of a view: figures, pictures and tables, each with its rows and files.

import { report } from "./api.js";
import { colour, draw, height, isDrawn } from "./charts.js";
import { element, isolated } from "./dom.js";
import { table } from "./tables.js";
import { UNKNOWN, contextOf, reason, shown } from "./values.js";
import { days, hasWord, share, word } from "./words.js";

let charts = [];

export function forgetCharts() {
  for (const { chart } of charts) chart.dispose();
  charts = [];
}

export function fitCharts() {
  for (const { chart } of charts) chart.resize();
}

// actions: onOpen(conversation), onPick(part, row), onSql(part), queryOf().
export function partOf(view, part, filters, actions) {
  const title = word(`${view}.${part.name}`);
  const heading = element("h2", { text: title });
  const made = element("section", { className: `part ${part.picture}` }, heading);
  if (hasWord(`${view}.${part.name}_note`)) {
    made.append(element("p", { className: "note", text: word(`${view}.${part.name}_note`) }));
  }
  if (part.ignored.length) {
    const names = part.ignored.map((name) => word(`filters.${name}`)).join(word("list.comma"));
    made.append(element("p", { className: "note warn", text: word("part.ignored", { names }) }));
  }
  if (part.picture === "figures") made.append(figures(part, filters));
  else if (!part.rows.length) made.append(element("p", { className: "empty", text: empty(view, part) }));
  else if (part.picture === "table") made.append(rowsOf(part, title, filters, actions));
  else made.append(...picture(part, title, filters, actions));
  made.append(tools(view, part, title, filters, actions));
  return made;
}

function empty(view, part) {
  const own = `${view}.${part.name}_empty`;
  return word(hasWord(own) ? own : "states.empty");
}

function figures(part, filters) {
  const made = element("div", { className: "cards" });
  part.rows.forEach((row, index) => {
    const before = matching(part, row, index);
    const context = contextOf(part, row, filters);
    part.columns.forEach((column, at) => {
      if (column.name === part.per) return;
      made.append(card(part, column, row[at], before ? before[at] : undefined, context, filters));
    });
  });
  if (!part.rows.length) made.append(element("p", { className: "empty", text: word("states.empty") }));
  return made;
}

// The row of the period before that is about the same: the same currency, for example.
function matching(part, row, index) {
  if (!part.before) return undefined;
  if (!part.per) return part.before[index];
  const at = part.columns.findIndex((column) => column.name === part.per);
  return part.before.find((other) => other[at] === row[at]);
}

function card(part, column, value, before, context, filters) {
  const text = shown(value, column, context);
  const label = element("dt", {}, word(`columns.${column.name}`));
  if (context.currency && column.kind !== "money") label.append(` (${context.currency})`);
  const made = element("dl", { className: "card" }, label, element("dd", { text, className: "value" }));
  if (text === UNKNOWN) made.append(element("dd", { className: "why", text: reason(column) }));
  else if (part.before) made.append(change(value, before, column, context, filters));
  return made;
}

function change(value, before, column, context, filters) {
  const period = days(filters.before_from, filters.before_to);
  if (before === null || before === undefined) {
    return element("dd", { className: "why", text: word("figures.no_before"), title: period });
  }
  const was = shown(before, column, context);
  const made = element("dd", { className: "why", title: period });
  if (before !== 0 && column.kind !== "share") {
    const moved = value / before - 1;
    const arrow = moved > 0.0005 ? "▲" : moved < -0.0005 ? "▼" : "=";
    made.append(element("span", { className: "moved" }, `${arrow} `, isolated(share(Math.abs(moved)))), " · ");
  }
  made.append(word("figures.before", { value: was }));
  return made;
}

function rowsOf(part, title, filters, actions) {
  const onPick = part.drill.length && !report ? (row) => actions.onPick(part, row) : null;
  const made = table(part.columns, part.rows, {
    part,
    filters,
    caption: title,
    onOpen: actions.onOpen,
    onPick,
  });
  if (part.is_cut) made.append(element("p", { className: "note", text: word("table.cut") }));
  return made;
}

function picture(part, title, filters, actions) {
  const room = element("div", {
    className: `chart ${height(part)}`,
    role: "img",
    "aria-label": word("part.picture", { title }),
  });
  const rows = element(
    "details",
    {},
    element("summary", { text: word("part.rows") }),
    rowsOf(part, title, filters, actions),
  );
  if (!isDrawn(part)) return [rows];
  const onPick = report ? null : (row) => actions.onPick(part, row);
  // Its size is known once it is on the page.
  room.drawn = () => {
    const chart = draw(room, part, filters, onPick);
    charts.push({ chart, part });
  };
  return [room, rows];
}

export function drawCharts(root) {
  for (const room of root.querySelectorAll(".chart")) room.drawn?.();
}

function tools(view, part, title, filters, actions) {
  const made = element("div", { className: "tools" });
  if (!report) {
    for (const form of ["csv", "xlsx"]) {
      const address = `/export/${view}/${part.name}.${form}?${actions.queryOf()}`;
      const label = word("part.file", { form: form.toUpperCase(), title });
      made.append(
        element("a", { href: address, download: true, text: form.toUpperCase(), "aria-label": label }),
      );
    }
  }
  if (isDrawn(part)) {
    made.append(
      element("button", {
        type: "button",
        text: "PNG",
        "aria-label": word("part.file", { form: "PNG", title }),
        onclick: () => savePicture(view, part, filters),
      }),
    );
  }
  made.append(
    element("button", {
      type: "button",
      text: word("part.sql"),
      "aria-label": word("part.sql_of", { title }),
      onclick: () => actions.onSql(part),
    }),
  );
  return made;
}

function savePicture(view, part, filters) {
  const found = charts.find((one) => one.part === part);
  if (!found) return;
  const address = found.chart.getDataURL({ pixelRatio: 2, backgroundColor: colour("--surface") });
  const name = `hatif-${view}-${part.name}-${filters.from}-${filters.to}.png`;
  element("a", { href: address, download: name }).click();
}
