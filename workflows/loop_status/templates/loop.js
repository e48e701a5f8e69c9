/* The page of a loop: the reader chooses the language. */
(function () {
  "use strict";
  const root = document.documentElement;
  function choose(language) {
    root.dataset.language = language;
    root.lang = language === "zh" ? "zh-CN" : "en";
    for (const button of document.querySelectorAll("[data-choose]")) {
      button.setAttribute("aria-pressed", String(button.dataset.choose === language));
    }
  }
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => choose(button.dataset.choose));
  }
  choose(root.dataset.language);
})();
