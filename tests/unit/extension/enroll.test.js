/** What becomes of an invite code: a token, or words that a person can use. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { enroll, installOf } from "../../../extension/background/enroll.js";

const ADDRESS = "https://watch.example";
const GIVEN = { ok: true, install: "i-1", token: "wt1.k.i-1.2.m", expires_ts: 2_000 };

/**
 * A gateway that gives these answers in turn, and what it was asked.
 * @param {...[number, unknown]} answers
 */
function gateway(...answers) {
  /** @type {{url: string, token: string | undefined, body: string}[]} */
  const asked = [];
  const ask = async (/** @type {any} */ url, /** @type {any} */ request) => {
    asked.push({ url, token: request.headers.Authorization, body: request.body });
    const [status, body] = answers[asked.length - 1] ?? [500, "asked too often"];
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
  };
  return { ask, asked };
}

test("a code becomes a token", async () => {
  const { ask, asked } = gateway([200, GIVEN]);

  const given = await enroll({ address: ADDRESS, token: "", invite: "code" }, ask);

  assert.deepEqual(given, { token: GIVEN.token, expires_ts: 2_000 });
  assert.deepEqual(asked, [{ url: `${ADDRESS}/enroll`, token: undefined, body: '{"invite":"code"}' }]);
});

test("a good token is renewed without a code", async () => {
  const { ask, asked } = gateway([200, GIVEN]);

  await enroll({ address: ADDRESS, token: "old", invite: "" }, ask);

  assert.deepEqual(asked, [{ url: `${ADDRESS}/enroll`, token: "Bearer old", body: "{}" }]);
});

test("a token that is no longer good does not stand in the way of a code", async () => {
  const { ask, asked } = gateway([401, { ok: false, error: "Not let in: the token has expired" }], [200, GIVEN]);

  await enroll({ address: ADDRESS, token: "old", invite: "code" }, ask);

  assert.deepEqual(asked.map(({ token }) => token), ["Bearer old", undefined]);
});

/** @type {[number, unknown, string][]} */
const REFUSALS = [
  [403, { ok: false, error: "The invite code is missing or not known" }, "The invite code is missing or not known."],
  [404, { ok: false, error: "This gateway is open" }, "This gateway needs no token. Save the address and leave the token empty."],
  [404, "<h1>Not Found</h1>", "What answers there is not a Watchtime gateway. Check the address."],
  [429, { ok: false, error: "Too many" }, "Too many tries from here. Wait an hour, then try again."],
  [200, { ok: true }, "What answers there is not a Watchtime gateway. Check the address."],
  [200, "<html>", "What answers there is not a Watchtime gateway. Check the address."],
  [500, { ok: false, error: "Internal error" }, "The gateway answered 500: Internal error."],
];
for (const [status, body, words] of REFUSALS) {
  test(`${status} ${JSON.stringify(body)} is told`, async () => {
    await assert.rejects(enroll({ address: ADDRESS, token: "", invite: "x" }, gateway([status, body]).ask), { message: words });
  });
}

test("a token names its install; no token, and what is none, names nobody", () => {
  const tokens = ["wt1.new.i-0_aZ-9.1900000000.mac", "", "wt1.new", "secret", "wt2.new.i-1.2.mac"];

  assert.deepEqual(tokens.map(installOf), ["i-0_aZ-9", undefined, undefined, undefined, undefined]);
});

test("no answer is told", async () => {
  const ask = async () => {
    throw new TypeError("Failed to fetch");
  };

  await assert.rejects(enroll({ address: ADDRESS, token: "", invite: "x" }, ask), {
    message: `Nothing answers at ${ADDRESS}. Is the gateway running?`,
  });
});
