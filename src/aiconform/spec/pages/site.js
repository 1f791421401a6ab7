// Theme and search. The pages are complete without this file.
"use strict";

(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // A browser may forbid storage for pages from a folder; the choice then lasts for the page.
  const stored = {
    get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("theme", value); } catch { /* for this page only */ } },
  };
  let chosen = stored.get();
  const isDark = () => (chosen ? chosen === "dark" : dark.matches);
  const paint = () => { root.dataset.theme = isDark() ? "dark" : "light"; };
  paint();

  const score = (entry, words) => {
    const title = entry.title.toLowerCase();
    const line = entry.line.toLowerCase();
    let total = 0;
    for (const word of words) {
      if (title.startsWith(word)) total += 12;
      else if (title.includes(word)) total += 8;
      else if (line.includes(word)) total += 6;
      else if (entry.words.toLowerCase().includes(word)) total += 1;
      else return 0;
    }
    return total;
  };

  const find = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    return (window.aiconformIndex || [])
      .map((entry) => [score(entry, words), entry])
      .filter(([points]) => points > 0)
      .sort((a, b) => b[0] - a[0] || a[1].title.localeCompare(b[1].title))
      .slice(0, 8)
      .map(([, entry]) => entry);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const say = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
    };
    button.hidden = false;
    say();
    button.addEventListener("click", () => { chosen = isDark() ? "light" : "dark"; stored.set(chosen); paint(); say(); });
    dark.addEventListener("change", () => { paint(); say(); });

    const box = document.querySelector(".search");
    if (!box) return;
    const input = document.getElementById("search");
    const list = document.getElementById("results");
    const status = document.getElementById("found");
    let active = -1;
    box.hidden = false;

    const options = () => [...list.children].filter((item) => item.getAttribute("role") === "option");
    const close = () => {
      list.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const choose = (index) => {
      const all = options();
      if (!all.length) return;
      active = (index + all.length) % all.length;
      all.forEach((item, at) => item.setAttribute("aria-selected", String(at === active)));
      input.setAttribute("aria-activedescendant", all[active].id);
      all[active].scrollIntoView({ block: "nearest" });
    };
    const open = (item) => { location.href = item.dataset.at; };

    const search = () => {
      const found = find(input.value);
      list.replaceChildren(...found.map((entry, at) => {
        const item = document.createElement("li");
        item.id = `result-${at}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        item.dataset.at = document.body.dataset.root + entry.at;
        const title = document.createElement("strong");
        title.textContent = entry.title;
        const line = document.createElement("span");
        line.textContent = entry.line;
        item.append(title, line);
        item.addEventListener("mousedown", (event) => { event.preventDefault(); open(item); });
        return item;
      }));
      const asked = input.value.trim() !== "";
      status.textContent = asked ? `${found.length} result${found.length === 1 ? "" : "s"}` : "";
      if (asked && !found.length) {
        const item = document.createElement("li");
        item.setAttribute("role", "option");
        item.setAttribute("aria-disabled", "true");
        item.className = "nothing";
        item.textContent = "Nothing found";
        list.append(item);
      }
      active = -1;
      list.hidden = !asked;
      input.setAttribute("aria-expanded", String(asked));
      input.removeAttribute("aria-activedescendant");
    };

    input.addEventListener("input", search);
    input.addEventListener("focus", () => { if (input.value) search(); });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      const found = options().filter((item) => item.dataset.at);
      if (event.key === "ArrowDown" && found.length) { event.preventDefault(); choose(active + 1); }
      else if (event.key === "ArrowUp" && found.length) { event.preventDefault(); choose(active - 1); }
      else if (event.key === "Enter" && found.length) { event.preventDefault(); open(found[Math.max(active, 0)]); }
      else if (event.key === "Escape") { event.preventDefault(); input.value = ""; search(); close(); }
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, [contenteditable]");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        input.focus();
      }
    });
  });
})();
