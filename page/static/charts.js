// Pictures. They run from right to left where the language does, and take their colours from the
// style sheet. Tooltips are drawn as text on the canvas, never as HTML.

import { UNKNOWN, axis, contextOf, reason, shown } from "./values.js";
import { word } from "./words.js";

const COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6"];
const MOST_RANKED = 12;
const FEW_NAMES = 5;

// A colour of the style sheet as it is now, light or dark: what an element of that colour has.
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function isRightToLeft() {
  return document.documentElement.dir === "rtl";
}

const place = (part, name) => part.columns.findIndex((column) => column.name === name);

function shorten(text, most) {
  const letters = Array.from(text);
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

function base() {
  const text = colour("--text");
  return {
    animation: false,
    color: COLOURS.map(colour),
    textStyle: { color: text, fontFamily: getComputedStyle(document.body).fontFamily },
    aria: { enabled: false },
    grid: { top: 44, bottom: 8, left: 8, right: 16, containLabel: true },
    legend: {
      top: 0,
      left: isRightToLeft() ? "auto" : 0,
      right: isRightToLeft() ? 0 : "auto",
      align: isRightToLeft() ? "right" : "left",
      icon: "roundRect",
      itemWidth: 12,
      itemHeight: 12,
      textStyle: { color: text },
      type: "scroll",
    },
    tooltip: {
      renderMode: "richText",
      confine: true,
      backgroundColor: colour("--surface"),
      borderColor: colour("--line"),
      textStyle: { color: text, align: isRightToLeft() ? "right" : "left" },
    },
  };
}

function line() {
  return { lineStyle: { color: colour("--line") } };
}

function categories(labels) {
  return {
    type: "category",
    data: labels,
    inverse: isRightToLeft(),
    axisLine: line(),
    axisTick: { show: false },
    axisLabel: {
      color: colour("--muted"),
      hideOverlap: true,
      // A few names all have room; of many, as many as fit are shown.
      interval: labels.length <= FEW_NAMES ? 0 : "auto",
    },
  };
}

function amounts(column, context) {
  return {
    type: "value",
    position: isRightToLeft() ? "right" : "left",
    axisLabel: {
      color: colour("--muted"),
      formatter: (value) => axis(value, column, context),
      hideOverlap: true,
    },
    splitLine: line(),
    minInterval: column.kind === "count" ? 1 : undefined,
  };
}

function labels(part, rows, filters) {
  const at = place(part, part.x);
  const column = part.columns[at];
  return rows.map((row) => {
    const text = shown(row[at], column, contextOf(part, row, filters));
    return text === UNKNOWN ? reason(column) : text;
  });
}

// One line a series: its name and its value, under the name of the bar.
function describe(part, row, title, filters) {
  const lines = part.series.map((name) => {
    const at = place(part, name);
    const value = shown(row[at], part.columns[at], contextOf(part, row, filters));
    return `${word(`columns.${name}`)}: ${value}`;
  });
  return [title, ...lines].join("\n").replace(/[{}]/g, " ");
}

function upright(part, filters) {
  const names = labels(part, part.rows, filters);
  const first = part.columns[place(part, part.series[0])];
  const context = part.rows.length ? contextOf(part, part.rows[0], filters) : {};
  const isLine = part.picture === "lines";
  return {
    ...base(),
    tooltip: {
      ...base().tooltip,
      trigger: "axis",
      axisPointer: { type: isLine ? "line" : "shadow" },
      formatter: (found) =>
        describe(part, part.rows[found[0].dataIndex], names[found[0].dataIndex], filters),
    },
    xAxis: categories(names),
    yAxis: amounts(first, context),
    series: part.series.map((name) => ({
      name: word(`columns.${name}`),
      type: isLine ? "line" : "bar",
      stack: part.stacked ? "all" : undefined,
      barMaxWidth: 40,
      connectNulls: false,
      symbolSize: 6,
      showSymbol: part.rows.length < 40,
      data: part.rows.map((row) => row[place(part, name)]),
    })),
  };
}

// Amounts along the bottom; the last label stays inside the picture.
function across(column, context) {
  const made = { ...amounts(column, context), position: "bottom", inverse: isRightToLeft() };
  made.axisLabel.alignMaxLabel = isRightToLeft() ? "left" : "right";
  return made;
}

function ranking(part, filters) {
  const rows = part.rows.slice(0, MOST_RANKED);
  const names = labels(part, rows, filters);
  const first = part.columns[place(part, part.series[0])];
  const context = rows.length ? contextOf(part, rows[0], filters) : {};
  const room = window.innerWidth < 600 ? 14 : 24;
  return {
    ...base(),
    tooltip: {
      ...base().tooltip,
      trigger: "axis",
      axisPointer: { type: "shadow" },
      formatter: (found) =>
        describe(part, rows[found[0].dataIndex], shorten(names[found[0].dataIndex], 40), filters),
    },
    xAxis: across(first, context),
    yAxis: {
      ...categories(names.map((name) => shorten(name, room))),
      inverse: true,
      position: isRightToLeft() ? "right" : "left",
      axisLabel: { color: colour("--text"), interval: 0 },
    },
    series: part.series.map((name) => ({
      name: word(`columns.${name}`),
      type: "bar",
      stack: part.stacked ? "all" : undefined,
      barMaxWidth: 22,
      data: rows.map((row) => row[place(part, name)]),
    })),
  };
}

// The value from which on a cell has the darkest colour: a few that are far above the others would
// leave all of these pale.
function top(values) {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  const highest = sorted.at(-1) ?? 1;
  const usual = sorted[Math.floor(sorted.length * 0.9)] ?? highest;
  return highest > 3 * usual ? [usual, true] : [highest, false];
}

function heatmap(part, filters) {
  const [x, y, value] = [part.x, part.y, part.series[0]].map((name) => place(part, name));
  const [highest, isCapped] = top(part.rows.map((row) => row[value] ?? 0));
  const hours = Array.from({ length: 24 }, (_, hour) => shown(hour, part.columns[x]));
  const week = Array.from({ length: 7 }, (_, index) => shown(index, part.columns[y]));
  const known = part.rows.filter((row) => row[value] !== null);
  return {
    ...base(),
    legend: undefined,
    grid: { top: 8, bottom: 52, left: 8, right: 8, containLabel: true },
    tooltip: {
      ...base().tooltip,
      formatter: (found) => {
        const row = known[found.dataIndex];
        return describe(part, row, `${week[row[y]]} ${hours[row[x]]}`, filters);
      },
    },
    // Every third hour: left to itself the picture shows some of them close together, from right to
    // left, and others far apart.
    xAxis: {
      ...categories(hours),
      axisLabel: { color: colour("--muted"), interval: (index) => index % 3 === 0 },
      splitArea: { show: false },
    },
    yAxis: {
      ...categories(week),
      inverse: true,
      position: isRightToLeft() ? "right" : "left",
    },
    visualMap: {
      min: 0,
      max: highest,
      orient: "horizontal",
      left: "center",
      bottom: 0,
      itemHeight: 120,
      itemWidth: 12,
      inverse: isRightToLeft(),
      text: [
        `${isCapped ? "≥ " : ""}${shown(highest, part.columns[value])}`,
        shown(0, part.columns[value]),
      ],
      textStyle: { color: colour("--muted") },
      inRange: { color: [colour("--heat-low"), colour("--heat-high")] },
    },
    series: [
      {
        type: "heatmap",
        data: known.map((row) => [row[x], row[y], row[value]]),
        itemStyle: { borderColor: colour("--surface"), borderWidth: 1 },
      },
    ],
  };
}

const DRAWN = { bars: upright, lines: upright, ranking, heatmap };

export function isDrawn(part) {
  return part.picture in DRAWN && part.rows.length > 0;
}

export function draw(room, part, filters, onPick) {
  const chart = window.echarts.init(room, null, { renderer: "canvas" });
  chart.setOption(DRAWN[part.picture](part, filters));
  if (onPick && part.drill.length) {
    const rows =
      part.picture === "heatmap"
        ? part.rows.filter((row) => row[place(part, part.series[0])] !== null)
        : part.rows;
    chart.on("click", (found) => onPick(rows[found.dataIndex]));
  }
  return chart;
}


export function height(part) {
  if (part.picture === "heatmap") return "tall";
  if (part.picture !== "ranking") return "medium";
  return part.rows.length > 6 ? "tall" : part.rows.length > 3 ? "medium" : "low";
}
