/* A content script can be no module itself; it can import one. Named in web_accessible_resources. */
{
  // Once in each page: the browser runs this in a page that it loads, the extension in one that was there before it.
  const world = /** @type {{watchtimeLives?: () => boolean}} */ (globalThis);
  if (!world.watchtimeLives?.()) {
    world.watchtimeLives = () => Boolean(chrome.runtime?.id);
    import(chrome.runtime.getURL("content/main.js")).then((page) => page.start());
  }
}
