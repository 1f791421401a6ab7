// Search, filters and order of the list of platforms. Without this file the list is complete, in pages of its own.
"use strict";

(() => {
  const PAGE = 100;
  const FIELDS = ["q", "version", "requirement", "grade", "accelerator", "solution", "state"];
  const DEFAULTS = { sort: "name", page: "1" };
  const rows = [];
  let arrived = 0;
  // Each file of the index calls this: a page from a folder may load scripts, but no JSON.
  window.aiconformIndex = (shard) => { rows.push(...shard); arrived += 1; };

  document.addEventListener("DOMContentLoaded", () => {
    const table = document.getElementById("platforms");
    const form = document.getElementById("filters");
    const status = document.getElementById("found");
    const pages = document.getElementById("pages");
    const body = table.tBodies[0];
    const order = table.dataset.grades.split(" ");
    const shards = Number(table.dataset.shards);
    const title = (field, value) => {
      const option = [...form.elements[field].options].find((each) => each.value === value);
      return option ? option.textContent : value;
    };
    const spaced = (text) => text.replaceAll("-", " ");
    const make = (tag, className, text) => {
      const made = document.createElement(tag);
      if (className) made.className = className;
      if (text !== undefined) made.textContent = text;
      return made;
    };

    // What is asked for is in the address, so that it can be linked to and gone back to.
    const asked = () => {
      const given = new URLSearchParams(location.hash.slice(1));
      const wish = { ...DEFAULTS };
      for (const name of [...FIELDS, "sort", "page"]) if (given.get(name)) wish[name] = given.get(name).slice(0, 200);
      return wish;
    };
    const go = (changed, replace) => {
      const wish = { ...asked(), page: "1", ...changed };
      const given = new URLSearchParams();
      for (const [name, value] of Object.entries(wish)) if (value && value !== DEFAULTS[name]) given.set(name, value);
      const hash = `#${given}`;
      if (replace) { history.replaceState(null, "", hash); show(); } else location.hash = hash;
    };

    const minor = (version) => Number(version.split(".")[1]) || 0;
    const rank = (grade) => { const at = order.indexOf(grade); return at < 0 ? order.length : at; };
    const proof = (row) => order.reduce((sum, grade, at) => sum + (row.must[grade] || 0) * 20 ** (order.length - at), 0);
    const compare = {
      name: (a, b) => a.name.localeCompare(b.name) || minor(b.version) - minor(a.version),
      version: (a, b) => minor(a.version) - minor(b.version),
      state: (a, b) => a.state.localeCompare(b.state),
      proof: (a, b) => proof(a) - proof(b),
      accelerators: (a, b) => a.accelerators.length - b.accelerators.length,
      accepted: (a, b) => (a.accepted || "").localeCompare(b.accepted || ""),
      expires: (a, b) => (a.expires || "").localeCompare(b.expires || ""),
    };

    const text = (row) => {
      row.text ??= [row.name, row.vendor, row.product_version, row.slug, row.version,
        ...row.accelerators.map((id) => title("accelerator", id)), ...row.solutions.map((id) => title("solution", id))].join(" ").toLowerCase();
      return row.text;
    };
    const shown = (row, wish) => {
      if (!wish.requirement) return !wish.grade || Object.keys(row.must).every((grade) => rank(grade) <= rank(wish.grade));
      const grade = row.grades[wish.requirement];
      return grade !== undefined && (!wish.grade || rank(grade) <= rank(wish.grade));
    };
    const fits = (row, wish, words) =>
      (wish.version === "all" || (wish.version ? row.version === wish.version : row.newest))
      && (!wish.state || row.state === wish.state)
      && (!wish.accelerator || row.accelerators.includes(wish.accelerator))
      && (!wish.solution || row.solutions.includes(wish.solution))
      && ((!wish.grade && !wish.requirement) || (shown(row, wish) && Object.keys(row.grades).length > 0))
      && words.every((word) => text(row).includes(word));

    const cells = (row) => {
      const line = make("tr");
      const head = make("th");
      head.scope = "row";
      const link = make("a");
      link.href = `platforms/${encodeURIComponent(row.slug)}.html#${row.version.replaceAll(".", "-")}`;
      link.append(make("bdi", "", row.name));
      const vendor = make("small");
      vendor.append(make("bdi", "", row.vendor));
      head.append(link, " ", vendor);
      const state = make("td");
      state.append(make("span", `badge state ${row.state}`, spaced(row.state)));
      const grades = make("td");
      for (const [grade, count] of Object.entries(row.must)) grades.append(make("span", `grade ${grade}`, `${count} ${spaced(grade)}`), " ");
      line.append(head, make("td", "", row.version), state, grades,
        make("td", "", row.accelerators.map((id) => title("accelerator", id)).join(", ")),
        make("td", "number", row.accepted || "–"), make("td", "number", row.expires || "–"));
      return line;
    };

    const turn = (wish, last) => {
      const nav = make("nav", "pages");
      nav.setAttribute("aria-label", "Pages");
      const line = make("div", "turn");
      const page = Number(wish.page);
      for (const [label, to] of [["Previous", page - 1], ["Next", page + 1]]) {
        const button = make("button", "", label);
        button.type = "button";
        button.disabled = to < 1 || to > last;
        button.addEventListener("click", () => { go({ page: String(to) }); table.scrollIntoView(); });
        line.append(button);
      }
      line.append(make("span", "meta", `Page ${page} of ${last}`));
      nav.append(line);
      return nav;
    };

    const show = () => {
      const wish = asked();
      for (const name of FIELDS) {
        const field = form.elements[name];
        if (document.activeElement !== field || name !== "q") field.value = wish[name] || "";
      }
      const down = wish.sort.startsWith("-");
      const key = Object.hasOwn(compare, wish.sort.replace("-", "")) ? wish.sort.replace("-", "") : "name";
      for (const head of table.tHead.rows[0].cells) {
        if (head.dataset.sort === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
      const words = (wish.q || "").toLowerCase().split(/\s+/).filter(Boolean);
      const found = rows.filter((row) => fits(row, wish, words))
        .sort((a, b) => (down ? -1 : 1) * compare[key](a, b) || compare.name(a, b));
      const last = Math.max(1, Math.ceil(found.length / PAGE));
      wish.page = String(Math.min(last, Math.max(1, Math.trunc(Number(wish.page)) || 1)));
      const from = (Number(wish.page) - 1) * PAGE;
      body.replaceChildren(...found.slice(from, from + PAGE).map(cells));
      const missing = arrived < shards ? `; ${shards - arrived} of ${shards} files of the index could not be read` : "";
      status.textContent = (found.length ? `${from + 1} to ${Math.min(from + PAGE, found.length)} of ${found.length} submissions` : "No submission fits") + missing;
      pages.replaceChildren(...(last > 1 ? [turn(wish, last)] : []));
    };

    const begin = () => {
      for (const head of table.tHead.rows[0].cells) {
        const button = make("button", "", head.textContent);
        button.type = "button";
        button.addEventListener("click", () => {
          const key = head.dataset.sort;
          go({ sort: asked().sort === key ? `-${key}` : key }, true);
        });
        head.replaceChildren(button);
      }
      form.hidden = false;
      form.addEventListener("submit", (event) => event.preventDefault());
      form.addEventListener("reset", () => { setTimeout(() => { location.hash = ""; show(); }); });
      for (const name of FIELDS) {
        form.elements[name].addEventListener(name === "q" ? "input" : "change", (event) => go({ [name]: event.target.value.trim() }, name === "q"));
      }
      window.addEventListener("hashchange", show);
      document.addEventListener("keydown", (event) => {
        const typing = event.target.closest("input, textarea, select");
        if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); form.elements.q.focus(); }
      });
      show();
    };

    let waiting = shards;
    const counted = () => { waiting -= 1; if (waiting <= 0) begin(); };
    if (!shards) begin();
    for (let number = 1; number <= shards; number += 1) {
      const script = document.createElement("script");
      script.src = `index/${number}.js`;
      script.async = false;
      script.addEventListener("load", counted);
      script.addEventListener("error", counted);
      document.head.append(script);
    }
  });
})();
