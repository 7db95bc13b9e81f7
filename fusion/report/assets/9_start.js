// The beginning: library and figures are unpacked and run, arrays unpacked, the page built.
"use strict";

async function start() {
  if (typeof DecompressionStream === "undefined") {
    document.getElementById("old-browser").hidden = false;
    return;
  }
  const told = JSON.parse(document.getElementById("report-data").textContent);
  await runPacked("report-library");
  const [arrays] = await Promise.all([unpackAll(told.arrays), runPacked("report-figures")]);
  while (!(Bokeh.documents.length && Bokeh.documents[0].is_idle)) await new Promise((done) => setTimeout(done, 10));
  const page = new Page(told, arrays, told.palettes);
  page.build();
  window.report = page;
  document.documentElement.dataset.ready = "true";
}

start();
