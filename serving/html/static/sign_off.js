// Sign a review: send the form to the API, with the signer's key if one was entered. The key is not stored. Without
// this script the form is sent to the page, which cannot wait longer than the time limit of one request.

const PAUSE = 3000;
const TRIES = 200;

function headers(key) {
  return { ...(key ? { "X-API-Key": key } : {}), Accept: "application/json" };
}

function signatures(review) {
  return JSON.stringify([review.decision?.id ?? null, review.pending?.signature?.sha256 ?? null]);
}

async function reviewNow(address, key) {
  const response = await fetch(address, { headers: headers(key) });
  return response.ok ? signatures(await response.json()) : null;
}

// Signing reads the data again, which can exceed the time limit of one request. Then poll the review until it is signed.
async function waitFor(address, key, before) {
  for (let i = 0; i < TRIES; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    const now = await reviewNow(address, key);
    if (now !== null && now !== before) return true;
  }
  return false;
}

function reload() {
  window.location.hash = "sign-off";
  window.location.reload();
}

async function sign(form, decide) {
  const answer = form.querySelector("output");
  const show = (words, tone) => { answer.textContent = words; answer.className = tone; };
  const { key, ...body } = Object.fromEntries([...new FormData(form)].filter(([name, value]) => value && !["decide", "what"].includes(name)));
  if (form.dataset.address.endsWith("/approval")) body.reject = decide === "reject";
  // A rejection has no effective date.
  if (body.reject) delete body.effective;
  const review = form.dataset.address.replace(/\/[a-z]+$/, "");
  const buttons = document.querySelectorAll("form.signature button");
  buttons.forEach((button) => { button.disabled = true; });
  show("Checking the data, rubric and model again…", "");
  try {
    const before = await reviewNow(review, key);
    const response = await fetch(form.dataset.address, {
      method: "POST",
      headers: { ...headers(key), "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await response.json();
    if (response.status === 201 || (result.code === "too_slow" && before !== null && (await waitFor(review, key, before)))) {
      show("Signed.", "good");
      form.reset();
      reload();
      return;
    }
    const errors = (result.errors ?? []).map((error) => `${error.pointer.slice(1)}: ${error.detail}`).join("; ");
    show(`Not signed: ${result.detail ?? result.title}${errors ? ` (${errors})` : ""}`, "bad");
  } catch {
    show("The service did not respond. Reload this page before you try again: the review may already be signed.", "bad");
  }
  buttons.forEach((button) => { button.disabled = false; });
}

document.querySelectorAll("form.signature").forEach((form) => form.addEventListener("submit", (event) => {
  event.preventDefault();
  sign(form, event.submitter?.value);
}));
