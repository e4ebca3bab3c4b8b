// A button that copies, and nothing else: without this script the text can be selected.
for (const button of document.querySelectorAll("button.copies")) {
  const field = document.getElementById(button.dataset.copies);
  const told = document.getElementById("copied");
  if (!field || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      if (told) told.textContent = "Copied.";
    } catch {
      field.select();
      if (told) told.textContent = "Not copied; it is selected now.";
    }
  });
}
