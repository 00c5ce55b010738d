// What textual.js leaves to its page: where to connect, fonts that are there before the first cell
// is measured, the keyboard at once, and a way back.
"use strict";

const SAMPLE = "Aa\u2192\u2588\u28ff\u2605";
const FACES = ["", "bold ", "italic ", "italic bold "];

document.addEventListener("DOMContentLoaded", () => {
  const size = parseInt(new URLSearchParams(location.search).get("fontsize"), 10);
  const data = document.getElementById("terminal").dataset;
  data.fontSize = String(Math.min(Math.max(size || 15, 6), 64));
  data.sessionWebsocketUrl = `ws://${location.host}/ws`;
  document.getElementById("again").addEventListener("click", () => location.reload());
});

const begin = window.onload; // textual.js's: it makes the terminal and connects
window.onload = async (event) => {
  const fonts = FACES.map((face) => document.fonts.load(`${face}16px "Roboto Mono"`, SAMPLE));
  await Promise.allSettled(fonts); // a terminal in another font is better than none
  begin(event);
};

// textual.js marks the body: it is connected, something has been drawn, the connection is closed
const KEYBOARD = { "-loaded": ".xterm-helper-textarea", "-closed": "#again" };
const had = new Set();
new MutationObserver(() => {
  for (const [mark, place] of Object.entries(KEYBOARD)) {
    if (!document.body?.classList.contains(mark) || had.has(mark)) continue;
    had.add(mark);
    document.querySelector(place).focus();
  }
}).observe(document, { attributes: true, attributeFilter: ["class"], subtree: true });
