/** Finding elements in the extension's own pages. */

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`This page has no element "${id}"`);
  }
  return /** @type {T} */ (found);
}
