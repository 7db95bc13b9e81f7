// Colours of the figures: those of the style sheet, which knows light and dark pages, and lines that are seen on both.
"use strict";
const COLOURED = ["line_color", "fill_color", "text_color", "hatch_color", "axis_line_color", "major_tick_line_color",
  "major_label_text_color", "axis_label_text_color", "grid_line_color", "background_fill_color"];

class Theme {
  constructor(page, roles) {
    Object.assign(this, { page, roles, uses: [] });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
  }

  begin() {
    for (const model of Bokeh.documents[0].all_models) {
      for (const key of COLOURED) {
        if (!(key in model.properties)) continue;
        const given = model[key], colour = given && typeof given === "object" ? given.value : given;
        if (this.roles[colour] || this.page.colours.includes(colour)) this.uses.push({ model, key, colour, spec: given !== colour });
      }
    }
    this.dark.addEventListener("change", () => this.apply());
    this.apply();
  }

  // a variable of the style sheet
  variable(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  apply() {
    const card = this.variable("card"), known = {}, root = document.documentElement.style;
    for (const [colour, role] of Object.entries(this.roles)) known[colour] = this.variable(role);
    for (const colour of this.page.colours) known[colour] = legible(colour, card);
    this.page.colours.forEach((colour, k) => root.setProperty(`--c${k}`, known[colour]));
    for (const { model, key, colour, spec } of this.uses) model[key] = spec ? { value: known[colour] } : known[colour];
  }
}
