// A value of a column as text, by the column's kind. What is unknown is a dash with its reason.

import * as words from "./words.js";

export const UNKNOWN = "—";

let names = { channel: {}, agent: {} };

export function useNames(found) {
  names = found;
}

const BY_KIND = {
  count: (value) => words.number(value),
  number: (value) => words.number(value, 1),
  share: (value) => words.share(value),
  seconds: (value) => words.duration(value),
  bucket: (value, context) => words.bucket(value, context.grain),
  month: (value) => words.bucket(value, "month"),
  date: (value) => words.day(value),
  instant: (value) => words.instant(value),
  text: (value) => String(value),
  word: (value) => words.wordOr(`values.${value}`, String(value)),
  channel: (value) => names.channel[value] || String(value),
  agent: (value) => names.agent[value] || String(value),
  country: (value) => words.country(value),
  weekday: (value) => words.weekday(value),
  hour: (value) => words.number(value),
  flag: (value) => words.word(value ? "values.yes" : "values.no"),
  conversation: (value) => String(value),
  key: (value) => String(value),
  money: (value, context) => words.money(value, context.currency),
};

export function shown(value, column, context = {}) {
  if (value === null || value === undefined) return UNKNOWN;
  return BY_KIND[column.kind](value, context);
}

export function reason(column) {
  return words.word(`unknown.${column.unknown}`);
}

export const NUMERIC = new Set(["count", "number", "share", "seconds", "money", "hour"]);

// The short form for an axis.
export function axis(value, column, context = {}) {
  if (column.kind === "count" || column.kind === "number") return words.compact(value);
  if (column.kind === "money") return words.compact(value);
  return shown(value, column, context);
}

// What a row of a part is about: its currency, its bucket's length.
export function contextOf(part, row, filters) {
  const place = part.columns.findIndex((column) => column.name === "currency");
  return { grain: filters.grain, currency: place < 0 ? undefined : row[place] };
}
