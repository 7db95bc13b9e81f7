// The beginning: arrays are unpacked and maps painted, then library and figures unpacked and run, the rest built.
"use strict";

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    document.getElementById("old-browser").hidden = false;
    return;
  }
  const told = JSON.parse(document.getElementById("report-data").textContent);
  const page = new Page(told, await unpackAll(told.arrays), told.palettes);
  page.paint();
  await pause(0);
  await runPacked("report-library");
  await pause(0);
  await runPacked("report-figures");
  while (!(Bokeh.documents.length && Bokeh.documents[0].is_idle)) await pause(10);
  page.build();
  window.report = page;
  document.documentElement.dataset.ready = "true";
  performance.mark("drawn");
}

start().catch((error) => {
  document.getElementById("broken").hidden = false;
  throw error;
});
