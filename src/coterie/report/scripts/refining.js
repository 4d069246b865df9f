// Where the run is at hand: what was said regroups its images, in a run of its own that the page goes on to.

byId("refine").hidden = !served;
for (const [id, shown] of [["kept-here", !served], ["kept-in-run", served]]) byId(id).hidden = !shown;

byId("refine").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter;
  const groups = byId("refine-groups").valueAsNumber;
  button.disabled = true;
  byId("refine-said").textContent = "Regrouping the images, which takes a moment…";
  try {
    while (saving) await saving;
    if (unsaved) throw new Error("your work is not saved yet");
    const { page } = await ask("refine", { groups: groups || null, version: stood.version });
    location.assign(`../${page}/`);
  } catch (error) {
    byId("refine-said").textContent = `Not refined: ${error.message}`;
  } finally {
    button.disabled = false;
  }
});
