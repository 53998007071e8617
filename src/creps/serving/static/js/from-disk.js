// Opened as a file, the page gets neither its modules nor its model: say what helps.
if (location.protocol === "file:") {
  const wait = /** @type {HTMLElement} */ (document.getElementById("wait"));
  wait.textContent =
    "Browsers open this page from a web server only: run  python -m http.server  in its folder, " +
    "then go to http://localhost:8000/";
  wait.hidden = false;
}
