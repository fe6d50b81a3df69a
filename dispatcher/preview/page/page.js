// The preview's page: lists the types, shows a letter, follows the files.
//
// What comes from templates and payloads enters the page as text only; the
// letter's HTML lives in frames that may run nothing. News of changed files
// comes by one request that the server holds open until there is some.
"use strict";

const RETRY_MS = 1000;
const TABS = ["letter", "text", "headers", "source", "data"];

const $ = (id) => document.getElementById(id);
const shown = { type: "", sample: "", tab: "letter", scheme: "light" };
let catalog = { types: [], problems: [], loaded: 0 };
let asked = 0; // counts letters asked for; a late answer to an old one is dropped

// ---- small things -----------------------------------------------------------

function make(tag, text, properties) {
  const element = document.createElement(tag);
  element.textContent = text;
  return Object.assign(element, properties);
}

async function fetchJson(path) {
  const answer = await fetch(path, { cache: "no-store" });
  return answer.json();
}

function query(more) {
  const values = { type: shown.type, sample: shown.sample, ...more };
  return "?" + new URLSearchParams(values);
}

function count(number, word) {
  return number + " " + word + (number === 1 ? "" : "s");
}

// ---- where we are: #type/sample/tab/scheme ----------------------------------

function readAddress() {
  const parts = location.hash.slice(1).split("/").map(decodeURIComponent);
  shown.type = parts[0] || shown.type;
  shown.sample = parts[1] || "";
  shown.tab = TABS.includes(parts[2]) ? parts[2] : shown.tab;
  shown.scheme = parts[3] === "dark" ? "dark" : parts[3] ? "light" : shown.scheme;
}

function address(change) {
  const to = { ...shown, ...change };
  return "#" + [to.type, to.sample, to.tab, to.scheme].map(encodeURIComponent).join("/");
}

function go(change) {
  if (address(change) !== location.hash) {
    location.hash = address(change);
  }
}

function currentType() {
  return catalog.types.find((type) => type.name === shown.type);
}

// ---- the list ---------------------------------------------------------------

function matches(type, words) {
  const text = (type.name + " " + type.group + " " + type.description).toLowerCase();
  return words.every((word) => text.includes(word));
}

function listTypes() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = catalog.types.filter((type) => matches(type, words));
  const list = $("types");
  let group = null;

  list.replaceChildren();
  for (const type of found) {
    if (type.group !== group) {
      group = type.group;
      list.append(make("h2", group));
    }
    const link = make("a", type.name, {
      href: address({ type: type.name, sample: "" }),
      title: type.description,
      className: type.fault ? "broken" : "",
    });
    if (type.name === shown.type) {
      link.setAttribute("aria-current", "page");
    }
    list.append(link);
  }
  if (found.length === 0) {
    list.append(make("p", "Nothing is called that.", { className: "none" }));
  }
}

function moveInList(step) {
  const links = [...$("types").querySelectorAll("a")];
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[Math.min(links.length - 1, Math.max(0, at + step))];
  if (next) {
    next.click();
    next.scrollIntoView({ block: "nearest" });
  }
}

// ---- problems ---------------------------------------------------------------

function listProblems() {
  const box = $("problems");
  const wasOpen = box.querySelector("details")?.open;
  const errors = catalog.problems.filter((p) => p.severity === "error").length;
  const warnings = catalog.problems.length - errors;
  const details = make("details", "");
  const summary = make("summary", "");
  const list = make("ul", "");

  box.hidden = catalog.problems.length === 0;
  if (errors > 0) {
    summary.append(make("b", count(errors, "error")));
  }
  summary.append(errors > 0 && warnings > 0 ? " and " : "");
  if (warnings > 0) {
    summary.append(make("i", count(warnings, "warning")));
  }
  summary.append(" in these templates");
  for (const p of catalog.problems) {
    const place = p.file + (p.line ? ":" + p.line : "");
    list.append(make("li", (place ? place + ": " : "") + p.text,
                     { className: "mono " + p.severity }));
  }
  details.append(summary, list);
  details.open = wasOpen ?? false;
  box.replaceChildren(details);
}

// ---- the letter -------------------------------------------------------------

function showFields(headers) {
  const list = $("headers");

  list.replaceChildren();
  for (const field of headers.replace(/\r\n(?=[ \t])/g, "\n").split("\r\n")) {
    const colon = field.indexOf(":");
    if (colon > 0) {
      list.append(make("dt", field.slice(0, colon)),
                  make("dd", field.slice(colon + 1).trim()));
    }
  }
}

function fitFrame(frame) {
  const page = frame.contentDocument?.documentElement;
  if (page) {
    frame.height = Math.max(120, page.scrollHeight + 2);
  }
}

// A frame may not open anything, so its links are opened from here, and only
// those that lead to a web site.
function onFrameClick(event) {
  const link = event.target.closest?.("a[href]");
  if (!link) {
    return;
  }
  event.preventDefault();
  if (/^https?:$/.test(link.protocol)) {
    window.open(link.href, "_blank", "noopener,noreferrer");
  }
}

function onFrameLoad(frame) {
  frame.contentDocument?.addEventListener("click", onFrameClick);
  fitFrame(frame);
}

function showFrames(letter) {
  const has = letter.html_size > 0;
  const path = "/letter.html" + query({ scheme: shown.scheme, loaded: letter.loaded });

  $("no-html").hidden = has;
  for (const frame of [$("wide"), $("narrow")]) {
    frame.parentElement.hidden = !has;
    if (has && frame.dataset.path !== path) {
      frame.dataset.path = path;
      // Not through the history: the back button leaves the letter.
      frame.contentWindow.location.replace(path);
    }
  }
}

function showLetter(letter) {
  $("fault").hidden = !letter.why;
  $("fault-text").textContent = letter.why || "";
  $("letter").classList.toggle("stale", Boolean(letter.why));
  if (letter.why) {
    return;
  }
  $("letter").hidden = false;
  $("subject").textContent = letter.subject;
  $("to").textContent = letter.name + " <" + letter.email + ">" +
    (letter.role ? ", as " + letter.role.replaceAll("_", " ") : "");
  $("text").textContent = letter.text;
  $("source").textContent = letter.source;
  $("data").textContent = letter.payloads.map(
    (payload) => JSON.stringify(payload, null, 2)).join("\n\n");
  $("eml").href = "/letter.eml" + query();
  $("eml").download = shown.type + "-" + (shown.sample || "sample") + ".eml";
  $("sizes").textContent = [["text", new Blob([letter.text]).size], ["HTML", letter.html_size],
    ["message", letter.source.length]].map(([name, n]) =>
    name + " " + (n / 1024).toFixed(1) + " KB").join(" \u00b7 ");
  showFields(letter.headers);
  showFrames(letter);
}

async function loadLetter() {
  const mine = ++asked;
  const letter = await fetchJson("/letter" + query());
  if (mine === asked) {
    showLetter(letter);
  }
}

// ---- the whole --------------------------------------------------------------

function showSamples(type) {
  const box = $("samples");

  box.replaceChildren();
  for (const sample of type.samples) {
    const button = make("button", sample, { type: "button" });
    button.setAttribute("aria-pressed", String(sample === shown.sample));
    button.addEventListener("click", () => go({ sample }));
    box.append(button);
  }
  box.parentElement.hidden = type.samples.length === 0;
}

function showTab() {
  for (const tab of TABS) {
    const button = $("tab-" + tab);
    button.setAttribute("aria-selected", String(tab === shown.tab));
    button.tabIndex = tab === shown.tab ? 0 : -1;
    $("pane-" + tab).hidden = tab !== shown.tab;
  }
  for (const button of $("schemes").children) {
    button.setAttribute("aria-pressed", String(button.dataset.scheme === shown.scheme));
  }
  fitFrame($("wide"));
  fitFrame($("narrow"));
}

function show() {
  const type = currentType() || catalog.types[0];

  if (!type) {
    $("type").textContent = "No event types here";
    return;
  }
  const isOther = $("type").textContent !== type.name;
  shown.type = type.name;
  shown.sample = type.samples.includes(shown.sample) ? shown.sample : type.first;
  document.title = type.name + " - Postbatch preview";
  $("type").textContent = type.name;
  $("description").textContent = type.description;
  if (isOther) {
    $("letter").hidden = true; // an old letter under a new name would mislead
  }
  listTypes();
  showSamples(type);
  showTab();
  loadLetter().catch(() => setStatus("bad", "No answer"));
}

function setStatus(kind, text) {
  $("status").className = "status " + kind;
  $("status-text").textContent = text;
}

async function loadTypes() {
  catalog = await fetchJson("/types");
  $("folder").textContent = catalog.folder;
  listProblems();
  show();
  setStatus(catalog.is_watching ? "good" : "", catalog.is_watching ?
    count(catalog.types.length, "type") + ", follows the files" : "does not follow the files");
}

async function follow() {
  for (;;) {
    try {
      if (await fetchJson("/news?seen=" + catalog.loaded) !== catalog.loaded) {
        await loadTypes();
      }
    } catch {
      setStatus("bad", "The server is gone; asking again");
      catalog.loaded = 0; // one that comes back counts anew
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}

// ---- what people do ---------------------------------------------------------

window.addEventListener("hashchange", () => { readAddress(); show(); });
$("search").addEventListener("input", listTypes);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    $("types").querySelector("a")?.click();
  } else if (event.key === "Escape") {
    $("search").value = "";
    listTypes();
    $("search").blur();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const step = { j: 1, k: -1 }[event.key];
  if (event.key === "/") {
    event.preventDefault();
    $("search").focus();
  } else if (step) {
    moveInList(step);
  }
});
for (const tab of TABS) {
  $("tab-" + tab).addEventListener("click", () => go({ tab }));
  $("tab-" + tab).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length];
      go({ tab: next });
      $("tab-" + next).focus();
    }
  });
}
for (const button of $("schemes").children) {
  button.addEventListener("click", () => go({ scheme: button.dataset.scheme }));
}
for (const frame of [$("wide"), $("narrow")]) {
  frame.addEventListener("load", () => onFrameLoad(frame));
}

readAddress();
loadTypes().catch(() => setStatus("bad", "The server is gone; asking again")).then(follow);
