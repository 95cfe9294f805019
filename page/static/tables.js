// Rows as a table.

import { element, isolated } from "./dom.js";
import { NUMERIC, UNKNOWN, contextOf, reason, shown } from "./values.js";
import { word } from "./words.js";

const FREE = new Set(["text", "channel", "agent"]);

function cell(value, column, context) {
  const text = shown(value, column, context);
  const className = NUMERIC.has(column.kind) ? "numeric" : classOf(column);
  if (text === UNKNOWN) {
    const why = reason(column);
    return element("td", { className, title: why }, text, hidden(why));
  }
  const content = FREE.has(column.kind) ? isolated(text) : text;
  return element("td", { className }, content);
}

function classOf(column) {
  if (["word", "country"].includes(column.kind)) return "word";
  return ["instant", "bucket", "month", "date", "weekday", "flag"].includes(column.kind) ? "whole" : undefined;
}

export function hidden(text) {
  return element("span", { className: "hidden", text: ` ${text}` });
}

function conversation(value, column, onOpen) {
  if (value === null) return cell(value, column, {});
  return element(
    "td",
    {},
    element("button", {
      type: "button",
      className: "link",
      text: word("table.open"),
      title: value,
      onclick: () => onOpen(value),
    }),
  );
}

// actions: onOpen(conversation id), onPick(row); either may be missing.
export function table(columns, rows, { part, filters, caption, onOpen, onPick }) {
  // A key is only there to be picked by.
  const visible = columns.map((column, at) => [column, at]).filter(([column]) => column.kind !== "key");
  const heads = visible.map(([column]) =>
    element("th", {
      scope: "col",
      text: word(`columns.${column.name}`),
      className: NUMERIC.has(column.kind) ? "numeric" : undefined,
    }),
  );
  if (onPick) heads.push(element("th", { scope: "col", text: word("table.behind") }));
  const body = rows.map((row) => {
    const context = part ? contextOf(part, row, filters) : {};
    const cells = visible.map(([column, at]) =>
      column.kind === "conversation" && onOpen
        ? conversation(row[at], column, onOpen)
        : cell(row[at], column, context),
    );
    if (onPick) {
      const label = word("table.conversations");
      const open = { type: "button", className: "link", text: label, onclick: () => onPick(row) };
      cells.push(element("td", {}, element("button", open)));
    }
    return element("tr", {}, ...cells);
  });
  const made = element(
    "table",
    {},
    element("caption", { text: caption, className: "hidden" }),
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...body),
  );
  const room = { className: "scroll", tabindex: "0", role: "region", "aria-label": caption };
  return element("div", room, made);
}
