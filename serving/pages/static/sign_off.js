// Signing a review: the form's answers go to the API with the admin key, which is kept nowhere.

const form = document.getElementById("sign-form");
const answer = document.getElementById("sign-answer");
const PAUSE = 3000;
const TRIES = 200;

function say(words, tone) {
  answer.textContent = words;
  answer.className = tone;
}

function headers(key) {
  return { "X-API-Key": key, Accept: "application/json" };
}

// The data are looked at again, which may take longer than one request is given: then the review is asked for its state.
async function waitFor(address, key) {
  for (let i = 0; i < TRIES; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    const found = await fetch(address, { headers: headers(key) });
    if (found.ok && (await found.json()).state !== "open") return true;
  }
  return false;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = Object.fromEntries(new FormData(form));
  const { key, ...body } = told;
  delete body.decide;
  if (!body.why) delete body.why;
  body.reject = event.submitter?.value === "reject";
  const address = `/v1/reviews/${encodeURIComponent(form.dataset.review)}`;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  say("Looking at data, rubric and model again …", "");
  try {
    const found = await fetch(`${address}/approval`, {
      method: "POST",
      headers: { ...headers(key), "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await found.json();
    if (found.status === 201 || (said.code === "too_slow" && (await waitFor(address, key)))) {
      say(body.reject ? "Rejected. Nothing changes." : "Approved.", "good");
      form.elements.key.value = "";
      return;
    }
    const faults = (said.errors ?? []).map((fault) => `${fault.pointer.slice(1)}: ${fault.detail}`).join("; ");
    say(`Refused: ${said.detail ?? said.title}${faults ? ` (${faults})` : ""}`, "bad");
  } catch {
    say("The service did not answer. Nothing may have been signed: load this page again before another try.", "bad");
  }
  buttons.forEach((button) => { button.disabled = false; });
});
