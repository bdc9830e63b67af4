// Only comfort: everything works without it.
"use strict";
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.setAttribute("aria-busy", "true");
    button.textContent = form.dataset.busy;
    setTimeout(() => { button.disabled = true; }, 0);
  });
}
