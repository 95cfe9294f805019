// The filters above a view.

import { element } from "./dom.js";
import { FILTERS } from "./state.js";
import { country, word, wordOr } from "./words.js";

const PERIODS = ["today", "yesterday", "7d", "30d", "90d", "month", "last_month", "year", "custom"];
const TARGETS = ["60", "300", "900", "1800", "3600", "14400", "86400"];

function select(name, label, options, value, onChange) {
  const chosen = element(
    "select",
    { name, onchange: (event) => onChange(event.target.value) },
    ...options.map(([key, text]) => {
      const option = element("option", { value: key, text });
      option.selected = key === (value ?? "");
      return option;
    }),
  );
  return element("label", {}, element("span", { text: label }), chosen);
}

function labelOf(name, [id, text]) {
  if (id === "-") return word("filters.unknown");
  if (name === "country") return country(id);
  return text?.trim() || wordOr(`values.${id}`, id);
}

export function controls(state, answer, found, onChange) {
  const set = (name) => (value) => onChange({ [name]: value || undefined });
  const made = element("form", { className: "filters", "aria-label": word("filters.title") });
  made.addEventListener("submit", (event) => event.preventDefault());
  if (!answer.is_current) {
    made.append(...period(state, answer.filters, onChange));
    const grains = ["day", "week", "month"].map((one) => [one, word(`filters.${one}`)]);
    made.append(select("grain", word("filters.grain"), grains, state.grain ?? "day", set("grain")));
  }
  for (const name of FILTERS) {
    if (answer.is_current && name === "message_type") continue;
    const options = found.choices[name].map((one) => [one[0], labelOf(name, one)]);
    if (state[name] && !options.some(([id]) => id === state[name])) {
      options.push([state[name], state[name]]);
    }
    options.unshift(["", word("filters.all")]);
    made.append(select(name, word(`filters.${name}`), options, state[name], set(name)));
  }
  made.append(...optionsOf(state, answer, set));
  const reset = { type: "button", text: word("filters.reset"), onclick: () => onChange(null) };
  made.append(element("button", reset));
  return made;
}

function optionsOf(state, answer, set) {
  const made = [];
  if (answer.options.includes("target")) {
    const options = TARGETS.map((one) => [one, word(`filters.target_${one}`)]);
    if (state.target && !TARGETS.includes(state.target)) options.push([state.target, state.target]);
    made.push(select("target", word("filters.target"), options, state.target ?? "300", set("target")));
  }
  for (const [name, values] of [
    ["clock", ["clock", "business"]],
    ["waiting", ["recent", "all"]],
  ]) {
    if (!answer.options.includes(name)) continue;
    const options = values.map((one) => [one, word(`filters.${name}_${one}`)]);
    made.push(select(name, word(`filters.${name}`), options, state[name] ?? values[0], set(name)));
  }
  return made;
}

function period(state, filters, onChange) {
  const isCustom = Boolean(state.from || state.to);
  const options = PERIODS.map((one) => [one, word(`filters.period_${one}`)]);
  const change = (value) =>
    value === "custom"
      ? onChange({ period: undefined, from: filters.from, to: filters.to })
      : onChange({ period: value, from: undefined, to: undefined });
  const value = isCustom ? "custom" : (state.period ?? "30d");
  const made = [select("period", word("filters.period"), options, value, change)];
  if (!isCustom) return made;
  for (const name of ["from", "to"]) {
    const input = element("input", {
      type: "date",
      name,
      value: state[name] ?? filters[name],
      onchange: (event) => {
        if (event.target.value) onChange(moved(name, event.target.value, filters));
      },
    });
    made.push(element("label", {}, element("span", { text: word(`filters.${name}`) }), input));
  }
  return made;
}

// A period whose end is moved before its beginning becomes that one day.
function moved(name, value, filters) {
  const both = { from: filters.from, to: filters.to, [name]: value };
  if (both.from > both.to) both[name === "from" ? "to" : "from"] = value;
  return both;
}
