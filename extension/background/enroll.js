/**
 * A token for this browser from a gateway that asks for one, by the invite code that its owner gave out.
 *
 * With a good token of before a fresh one comes for the same name, and no code is needed.
 */

const TIMEOUT_MS = 10_000;

/**
 * @param {string} token `wt1.<key>.<install>.<expiry>.<mac>`
 * @returns {string | undefined} the name that a gateway knows its bearer by, whatever the events call themselves
 */
export const installOf = (token) => /^wt1\.[\w-]+\.([\w-]+)\./.exec(token)?.[1];

/**
 * @param {{address: string, token: string, invite: string}} wish token: of before, empty for none
 * @param {typeof fetch} ask
 * @returns {Promise<{token: string, expires_ts: number}>}
 * @throws {Error} says in plain words why there is none
 */
export async function enroll({ address, token, invite }, ask) {
  let answer = await post(address, token, invite, ask);
  if (answer.status === 401 && token) {
    answer = await post(address, "", invite, ask); // the one of before is no longer good: begin anew
  }
  const { status, reply } = answer;
  if (status === 200 && reply?.ok === true && typeof reply.token === "string" && typeof reply.expires_ts === "number") {
    return { token: reply.token, expires_ts: reply.expires_ts };
  }
  throw new Error(explain(status, typeof reply?.error === "string" ? reply.error : ""));
}

/**
 * @param {string} address
 * @param {string} token
 * @param {string} invite
 * @param {typeof fetch} ask
 * @returns {Promise<{status: number, reply: any}>}
 */
async function post(address, token, invite, ask) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json" };
  if (token) {
    headers.Authorization = `Bearer ${token}`;
  }
  let response;
  try {
    response = await ask(`${address}/enroll`, {
      method: "POST",
      headers,
      body: JSON.stringify(invite ? { invite } : {}),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Error(`Nothing answers at ${address}. Is the gateway running?`);
  }
  return { status: response.status, reply: await response.json().catch(() => null) };
}

/**
 * @param {number} status
 * @param {string} said
 */
function explain(status, said) {
  if (status === 404 && said) {
    return "This gateway needs no token. Save the address and leave the token empty.";
  }
  if (status === 429) {
    return "Too many tries from here. Wait an hour, then try again.";
  }
  if (status === 403 && said) {
    return `${said}.`;
  }
  return said ? `The gateway answered ${status}: ${said}.` : "What answers there is not a Watchtime gateway. Check the address.";
}
