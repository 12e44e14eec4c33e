/* A content script can be no module itself; it can import one. Named in web_accessible_resources. */
import(chrome.runtime.getURL("content/main.js")).then((page) => page.start());
