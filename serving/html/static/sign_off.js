// Signing a review: what the form holds goes to the API, with the signer's key if one was typed; the key is kept nowhere.

const PAUSE = 3000;
const TRIES = 200;

function headers(key) {
  return { ...(key ? { "X-API-Key": key } : {}), Accept: "application/json" };
}

function signatures(review) {
  return JSON.stringify([review.decision?.id ?? null, review.pending?.signature?.sha256 ?? null]);
}

async function reviewNow(address, key) {
  const found = await fetch(address, { headers: headers(key) });
  return found.ok ? signatures(await found.json()) : null;
}

// The data are read again, which may take longer than one request is given: then the review is asked until it was signed.
async function waitFor(address, key, before) {
  for (let i = 0; i < TRIES; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    const now = await reviewNow(address, key);
    if (now !== null && now !== before) return true;
  }
  return false;
}

function showAgain() {
  window.location.hash = "sign-off";
  window.location.reload();
}

async function sign(form, decide) {
  const answer = form.querySelector("output");
  const say = (words, tone) => { answer.textContent = words; answer.className = tone; };
  const { key, ...body } = Object.fromEntries([...new FormData(form)].filter(([name, value]) => value && name !== "decide"));
  if (form.dataset.address.endsWith("/approval")) body.reject = decide === "reject";
  // A rejection changes nothing, so it has no date.
  if (body.reject) delete body.effective;
  if (form.dataset.first) body.first_signature = form.dataset.first;
  const review = form.dataset.address.replace(/\/[a-z]+$/, "");
  const buttons = document.querySelectorAll("form.signature button");
  buttons.forEach((button) => { button.disabled = true; });
  say("Checking data, rubric and model again …", "");
  try {
    const before = await reviewNow(review, key);
    const found = await fetch(form.dataset.address, {
      method: "POST",
      headers: { ...headers(key), "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await found.json();
    if (found.status === 201 || (said.code === "too_slow" && before !== null && (await waitFor(review, key, before)))) {
      say("Signed.", "good");
      form.reset();
      showAgain();
      return;
    }
    const faults = (said.errors ?? []).map((fault) => `${fault.pointer.slice(1)}: ${fault.detail}`).join("; ");
    say(`Refused: ${said.detail ?? said.title}${faults ? ` (${faults})` : ""}`, "bad");
  } catch {
    say("The service did not answer. Load this page again before another try: it may have been signed.", "bad");
  }
  buttons.forEach((button) => { button.disabled = false; });
}

document.querySelectorAll("form.signature").forEach((form) => form.addEventListener("submit", (event) => {
  event.preventDefault();
  sign(form, event.submitter?.value);
}));
