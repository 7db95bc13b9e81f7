// On paper: figures are pictures of themselves, light, as wide as the page is.
"use strict";

class Printing {
  constructor(page) {
    Object.assign(this, { page, pictures: [] });
  }

  begin() {
    addEventListener("beforeprint", () => this.lay());
    addEventListener("afterprint", () => this.clear());
  }

  lay() {
    if (this.pictures.length) return;
    document.documentElement.classList.add("printing");
    this.page.theme.apply();
    for (const view of Bokeh.index.roots) {
      const { width, height } = view.bbox;
      if (!view.model.visible || !width || !height) continue;
      view.renderer_views?.forEach((each) => each.set_visuals?.()); // else at the next frame, after the print
      const picture = element("img", "printed");
      picture.alt = "";
      picture.src = view.export("png", true).canvas.toDataURL();
      picture.style.maxWidth = `${width}px`;
      view.el.after(picture);
      this.pictures.push([picture, view.el]);
      view.el.classList.add("unprinted");
    }
  }

  clear() {
    document.documentElement.classList.remove("printing");
    this.pictures.forEach(([picture, figure]) => { picture.remove(); figure.classList.remove("unprinted"); });
    this.pictures = [];
    this.page.theme.apply();
  }
}
