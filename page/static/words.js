// Words and forms of the reader's language.

import { ask } from "./api.js";

let catalogue = {};
let locale = "en-GB";
let timezone = "UTC";

export async function useLanguage(language, digits) {
  catalogue = await ask(`/words/${language}.json`);
  const numbers = digits === "arab" ? "arab" : "latn";
  const base = language === "ar" ? "ar-SA" : "en-GB";
  locale = `${base}-u-ca-gregory-nu-${numbers}`;
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
}

export function useTimezone(name) {
  timezone = name;
}

export function word(name, values = {}) {
  const text = catalogue[name] ?? name;
  return text.replace(/\{([a-z_]+)\}/g, (whole, key) => (key in values ? values[key] : whole));
}

export function hasWord(name) {
  return name in catalogue;
}

export function wordOr(name, other) {
  return catalogue[name] ?? other;
}

const made = new Map();

function formatter(kind, options) {
  const key = `${locale} ${kind} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](locale, options));
  return made.get(key);
}

export function number(value, digits = 0) {
  return formatter("NumberFormat", { maximumFractionDigits: digits }).format(value);
}

export function compact(value) {
  const options = { notation: "compact", maximumSignificantDigits: 3 };
  return formatter("NumberFormat", options).format(value);
}

export function share(value, sign = "auto") {
  const options = { style: "percent", maximumFractionDigits: 1, signDisplay: sign };
  return formatter("NumberFormat", options).format(value);
}

export function money(value, currency) {
  const digits = Math.abs(value) < 1 && value !== 0 ? 4 : 2;
  const options = { minimumFractionDigits: 2, maximumFractionDigits: digits };
  if (!/^[A-Z]{3}$/.test(currency || "")) return number(value, digits);
  // The code rather than a sign: several currencies call themselves $.
  const all = { ...options, style: "currency", currency, currencyDisplay: "code" };
  return formatter("NumberFormat", all).format(value);
}

const STEPS = [
  [60, 1, "second"],
  [3600, 60, "minute"],
  [172800, 3600, "hour"],
  [Infinity, 86400, "day"],
];

export function duration(seconds) {
  const [, size, unit] = STEPS.find(([below]) => Math.abs(seconds) < below);
  const value = seconds / size;
  const digits = Math.abs(value) < 10 && size > 1 ? 1 : 0;
  const options = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits };
  return formatter("NumberFormat", options).format(value);
}

function dateOf(text) {
  return new Date(`${text}T00:00:00Z`);
}

export function day(text) {
  const options = { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" };
  return formatter("DateTimeFormat", options).format(dateOf(text));
}

export function bucket(text, grain) {
  const options =
    grain === "month" ? { month: "short", year: "numeric" } : { day: "numeric", month: "short" };
  return formatter("DateTimeFormat", { ...options, timeZone: "UTC" }).format(dateOf(text));
}

export function days(from, to) {
  return from === to ? day(from) : `${day(from)} – ${day(to)}`;
}

export function instant(text) {
  const options = {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    hour12: false,
    timeZone: timezone,
  };
  const moment = new Date(text);
  const now = new Date();
  if (Math.abs(now - moment) > 300 * 86400e3) options.year = "numeric";
  return formatter("DateTimeFormat", options).format(moment);
}

export function ago(text, now) {
  const seconds = (new Date(text) - now) / 1000;
  const [, size, unit] = STEPS.find(([below]) => Math.abs(seconds) < below);
  const options = { numeric: "always" };
  return formatter("RelativeTimeFormat", options).format(Math.round(seconds / size), unit);
}

export function weekday(index) {
  // 4 January 1970 was a Sunday.
  const moment = new Date(Date.UTC(1970, 0, 4 + index));
  return formatter("DateTimeFormat", { weekday: "short", timeZone: "UTC" }).format(moment);
}

export function country(code) {
  try {
    return formatter("DisplayNames", { type: "region" }).of(code);
  } catch {
    return code;
  }
}
