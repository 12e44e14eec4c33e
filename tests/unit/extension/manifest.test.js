import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const EXTENSION = new URL("../../../extension/", import.meta.url);

/** The modules that a module imports when it runs, itself too. */
function withImports(/** @type {string} */ path, /** @type {Set<string>} */ found = new Set()) {
  if (!found.has(path)) {
    found.add(path);
    const url = new URL(path, EXTENSION);
    for (const [, imported] of readFileSync(url, "utf8").matchAll(/^(?:import|\}) .*from "(.+)";$/gm)) {
      withImports(new URL(/** @type {string} */ (imported), url).href.slice(EXTENSION.href.length), found);
    }
  }
  return found;
}

test("a page may load all that its script imports, and nothing else", () => {
  const manifest = JSON.parse(readFileSync(new URL("manifest.json", EXTENSION), "utf8"));
  const [{ resources }] = manifest.web_accessible_resources;

  assert.deepEqual(resources.toSorted(), [...withImports("content/main.js")].sort());
});
