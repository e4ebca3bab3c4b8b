// A button that copies: without this script the text can be selected.
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

// A page that waits looks again by itself and changes only what is new: without this script it has a link.
const waits = document.querySelector("[data-looks-again]");
const seen = document.getElementById("seen");
if (waits && seen) {
  waits.querySelector("[hidden]").hidden = false;
  const timer = setInterval(async () => {
    if (document.hidden) return;
    let text;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      // The session is over, or the server has failed: its page says so.
      if (!answer.ok) return location.reload();
      text = await answer.text();
    } catch {
      return;
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    const news = page.getElementById("seen");
    if (!news) return location.reload();
    if (news.innerHTML !== seen.innerHTML) seen.replaceChildren(...news.childNodes);
    const still = page.querySelector("[data-looks-again] time");
    if (still) {
      waits.querySelector("time").textContent = still.textContent;
    } else {
      clearInterval(timer);
      waits.remove();
    }
  }, Number(waits.dataset.looksAgain) * 1000);
}
