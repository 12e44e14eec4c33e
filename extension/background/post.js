/** How the extension speaks to a gateway: a POST of JSON, and what was answered. */

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {any} body what the answer's JSON holds; null when it is none
 * @property {string | null} retry_after
 *
 * @param {string} url
 * @param {unknown} content
 * @param {{ask: typeof fetch, token: string, timeout_ms: number}} options token: empty for none
 * @returns {Promise<Reply>}
 * @throws {Error} when nothing answers
 */
export async function post(url, content, { ask, token, timeout_ms }) {
  const response = await ask(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(content),
    cache: "no-store",
    credentials: "omit",
    redirect: "error", // a redirect would lose the body, or take it somewhere that nobody agreed to
    signal: AbortSignal.timeout(timeout_ms),
  });
  const body = await response.json().catch(() => null);
  return { status: response.status, body, retry_after: response.headers.get("Retry-After") };
}
