/**
 * A token for this browser from a gateway that asks for one, by the invite code that its owner gave out.
 *
 * With a good token of before a fresh one comes for the same name, and no code is needed.
 */

import { post } from "./post.js";

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
  let answer = await request(address, token, invite, ask);
  if (answer.status === 401 && token) {
    answer = await request(address, "", invite, ask); // the one of before is no longer good: begin anew
  }
  const { status, body } = answer;
  if (status === 200 && body?.ok === true && typeof body.token === "string" && typeof body.expires_ts === "number") {
    return { token: body.token, expires_ts: body.expires_ts };
  }
  throw new Error(explain(status, typeof body?.error === "string" ? body.error : ""));
}

/**
 * @param {string} address
 * @param {string} token
 * @param {string} invite
 * @param {typeof fetch} ask
 */
async function request(address, token, invite, ask) {
  try {
    return await post(`${address}/enroll`, invite ? { invite } : {}, { ask, token, timeout_ms: TIMEOUT_MS });
  } catch {
    throw new Error(`Nothing answers at ${address}. Is the gateway running?`);
  }
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
