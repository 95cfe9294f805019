// What the server answers, or, in a report, what the file carries.

const carried = document.getElementById("report");
export const report = carried ? JSON.parse(carried.textContent) : null;

export class Problem extends Error {
  constructor(kind, detail) {
    super(kind);
    this.kind = kind;
    this.detail = detail;
  }
}

export async function ask(path, query = "", signal = undefined) {
  if (report) {
    if (!(path in report.answers)) throw new Problem("not_in_report", "");
    return report.answers[path];
  }
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", "");
  }
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) window.location.assign("/login");
  throw new Problem(problem.problem || "unreachable", problem.text || "");
}
