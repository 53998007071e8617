// Before the page is drawn, so that it does not flash in the other colours.
try {
  const theme = localStorage.getItem("creps-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's colours it is.
}
