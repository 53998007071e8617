// Before the page is drawn, so that it does not flash in the other colors.
try {
  const theme = localStorage.getItem("creps-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's colors it is.
}
