// What opens above the page: conversations behind a bar, messages of one, SQL and definitions.

import { Problem, ask } from "./api.js";
import { element, isolated } from "./dom.js";
import { table } from "./tables.js";
import { shown } from "./values.js";
import { instant, number, word, wordOr } from "./words.js";

function open(title, ...content) {
  document.querySelector("dialog")?.remove();
  const close = element("button", { type: "button", className: "close", text: word("dialog.close") });
  const made = element(
    "dialog",
    { "aria-label": title },
    element("header", {}, element("h2", { text: title }), close),
    element("div", { className: "content" }, ...content),
  );
  close.addEventListener("click", () => made.close());
  made.addEventListener("close", () => made.remove());
  made.addEventListener("click", (event) => event.target === made && made.close());
  document.body.append(made);
  made.showModal();
  return made.querySelector(".content");
}

function failed(room, error) {
  const kind = error instanceof Problem ? error.kind : "unreachable";
  room.replaceChildren(element("p", { className: "failed", role: "alert", text: word(`problems.${kind}`) }));
}

export async function showConversations(view, part, row, query) {
  const picked = new URLSearchParams(query);
  for (const key of part.drill) {
    const value = row[part.columns.findIndex((column) => column.name === key)];
    picked.set(`pick.${key}`, value ?? "");
  }
  const room = open(word("dialog.conversations"), element("p", { text: word("states.loading") }));
  try {
    const found = await ask(`/data/conversations/${view}/${part.name}`, picked.toString());
    const count = word("dialog.count", { count: number(found.total), shown: number(found.rows.length) });
    const onOpen = (id) => showConversation(id, found);
    const rows = table(found.columns, found.rows, { caption: word("dialog.conversations"), onOpen });
    room.replaceChildren(element("p", { text: count }), rows);
  } catch (error) {
    failed(room, error);
  }
}

function inboxLink(inbox, id) {
  if (!/^https?:\/\//.test(inbox)) return null;
  const href = inbox.replace("{id}", encodeURIComponent(id));
  const link = { href, target: "_blank", rel: "noreferrer noopener", text: word("dialog.inbox") };
  return element("p", {}, element("a", link));
}

export async function showConversation(id, known) {
  const room = open(
    word("dialog.conversation"),
    element("p", {}, element("code", { text: id })),
    inboxLink(known.inbox || "", id) ?? "",
    element("div", { className: "messages" }, element("p", { text: word("states.loading") })),
  );
  const list = room.querySelector(".messages");
  try {
    const found = await ask(`/data/messages/${encodeURIComponent(id)}`);
    if (!known.inbox && found.inbox) room.insertBefore(inboxLink(found.inbox, id), list);
    list.replaceChildren(...found.rows.map((row) => message(found.columns, row)));
    if (!found.rows.length) list.append(element("p", { text: word("dialog.no_messages") }));
  } catch (error) {
    failed(list, error);
  }
}

function message(columns, row) {
  const at = Object.fromEntries(columns.map((column, place) => [column.name, row[place]]));
  const by = at.sender ?? wordOr(`values.${at.origin}`, at.origin ?? "");
  const status = at.direction === "outbound" ? shown(at.status, { kind: "word" }) : "";
  return element(
    "article",
    { className: at.direction === "inbound" ? "theirs" : "ours" },
    element(
      "header",
      {},
      isolated(by),
      ` · ${at.sent_at ? instant(at.sent_at) : ""}`,
      status ? ` · ${status}` : "",
    ),
    element("p", { dir: "auto", text: at.body ?? word("unknown.no_text") }),
  );
}

export async function showSql(view, part, query) {
  const room = open(word("part.sql"), element("p", { text: word("states.loading") }));
  try {
    const found = await ask(`/data/about/${view}`, query);
    const { sql } = found.parts.find((one) => one.name === part.name);
    const definitions = found.metrics.flatMap((name) => [
      element("dt", { text: word(`metrics.${name}.title`) }),
      element("dd", { text: word(`metrics.${name}.formula`) }),
    ]);
    room.replaceChildren(
      element("h3", { text: word("dialog.definitions") }),
      element("dl", { className: "definitions" }, ...definitions),
      element("h3", { text: word("dialog.sql") }),
      element("p", { className: "note", text: word("dialog.sql_note") }),
      element("pre", { dir: "ltr", tabindex: "0" }, element("code", { text: sql })),
    );
  } catch (error) {
    failed(room, error);
  }
}
