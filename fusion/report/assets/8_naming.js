// Names of components, edited in the table: everywhere at once, as Python, and in a page that is saved.
"use strict";
const SOURCE = `<!doctype html>\n${document.documentElement.outerHTML}`; // before anything is drawn

class Naming {
  constructor(page) {
    this.page = page;
    this.original = [...page.names];
  }

  begin() {
    document.querySelectorAll("input.rename").forEach((input) => {
      const k = Number(input.dataset.number);
      input.addEventListener("change", () => this.accept(k, input));
      input.addEventListener("click", (event) => event.stopPropagation());
    });
    const click = (id, task) => document.getElementById(id)?.addEventListener("click", task);
    click("copy-python", () => this.copy());
    click("save-page", () => this.save());
    JSON.parse(document.getElementById("report-names").textContent).forEach((name, k) => {
      if (name !== this.page.names[k]) this.rename(k, name);
    });
  }

  // what is wrong with a name, as `result.renamed` has it
  wrong(k, name) {
    if (!name) return "A name is needed.";
    if (/^\d+$/.test(name) && name !== String(k + 1)) return `${name} would be taken for a number: give a word.`;
    const twin = this.page.names.findIndex((other, j) => j !== k && other === name);
    return twin < 0 ? "" : `Component ${twin + 1} is called ${name}: give each a name of its own.`;
  }

  accept(k, input) {
    const name = input.value.trim(), wrong = this.wrong(k, name);
    input.setAttribute("aria-invalid", String(Boolean(wrong)));
    this.tell(wrong);
    if (!wrong) this.rename(k, name);
    else input.value = this.page.names[k];
  }

  rename(k, name) {
    this.page.names[k] = name;
    document.querySelectorAll(`[data-name="${k}"]`).forEach((each) => { each.textContent = name; });
    document.querySelectorAll(`input.rename[data-number="${k}"]`).forEach((each) => { each.value = name; });
    this.page.scans.forEach((scan) => scan.rename(k, name));
  }

  tell(text) {
    document.getElementById("names-told").textContent = text;
  }

  // what names the components in Python, and finds the place that is kept
  python() {
    const changed = this.page.names.map((name, k) => [k, name]).filter(([k, name]) => name !== this.original[k]);
    const names = changed.map(([k, name]) => `${k + 1}: ${JSON.stringify(name)}`).join(", ");
    const lines = ["import fusion as fu", "",
      `result = fu.Result.load("result.npz")${names ? `.renamed({${names}})` : ""}  # the file of result.save(…)`];
    this.page.scans.forEach((scan) => {
      const index = scan.pythonIndex(), part = scan.parts.find((each) => each.signal === 1);
      if (index && part) lines.push(`# ${part.name} at ${scan.where(scan.selection.kept)}: data.numpy()${index}`);
    });
    return lines.join("\n");
  }

  async copy() {
    const shown = document.getElementById("python");
    shown.textContent = this.python();
    shown.hidden = false;
    try {
      await navigator.clipboard.writeText(shown.textContent);
      this.tell("Copied.");
    } catch {
      getSelection().selectAllChildren(shown);
      this.tell("Selected: copy it with the keys of your system.");
    }
  }

  // the page as it was opened, with the names of now
  saved() {
    const names = JSON.stringify(this.page.names).replaceAll("<", "\\u003c");
    return SOURCE.replace(/(<script type="application\/json" id="report-names">)[^<]*/, (_, tag) => tag + names);
  }

  save() {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([this.saved()], { type: "text/html" }));
    const own = decodeURIComponent(location.pathname.split("/").pop() || "");
    link.download = /\.html?$/i.test(own) ? own : "report.html"; // a notebook's frame has no name
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    this.tell("Saved with these names, where the browser keeps downloads.");
  }
}
