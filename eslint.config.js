import js from "@eslint/js";
import globals from "globals";

/** Classic scripts: content scripts cannot be modules, and the fake site is a plain page. */
const SCRIPTS = ["extension/content/load.js", "extension/content/player.js", "tests/e2e/fake_youtube/*.js"];

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: { ...globals.browser, ...globals.webextensions } },
    rules: {
      eqeqeq: "error",
      "no-shadow": "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-implicit-globals": "error",
      curly: "error",
    },
  },
  {
    files: ["extension/**/*.js"],
    ignores: ["extension/ext.js", "extension/content/load.js"],
    // One module speaks to the browser's extension interface: ext.js.
    rules: { "no-restricted-globals": ["error", "chrome", "browser"] },
  },
  { files: SCRIPTS, languageOptions: { sourceType: "script" } },
  {
    files: ["tests/e2e/fake_youtube/*.js"],
    languageOptions: { globals: { truth: "readonly" } },
    rules: { "no-implicit-globals": "off" },
  },
  { files: ["tests/unit/extension/*.js"], languageOptions: { globals: globals.node } },
];
