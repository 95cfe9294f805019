// The filters, as they stand in the address.

export const FILTERS = ["channel", "agent", "tag", "country", "message_type"];
const ASKED = [...FILTERS, "period", "from", "to", "grain", "target", "clock", "waiting"];
const SHOWN = ["view", "lang", "digits"];

export function readState(views) {
  const given = new URLSearchParams(window.location.search);
  const state = {};
  for (const name of [...SHOWN, ...ASKED]) {
    const value = given.get(name);
    if (value) state[name] = value;
  }
  if (!views.includes(state.view)) state.view = views[0];
  return state;
}

export function queryOf(state) {
  const query = new URLSearchParams();
  for (const name of ASKED) if (state[name]) query.set(name, state[name]);
  return query.toString();
}

export function writeState(state, replaces) {
  const query = new URLSearchParams();
  for (const name of [...SHOWN, ...ASKED]) if (state[name]) query.set(name, state[name]);
  const address = `?${query}`;
  if (replaces) window.history.replaceState(null, "", address);
  else window.history.pushState(null, "", address);
}
