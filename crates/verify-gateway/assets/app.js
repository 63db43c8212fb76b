// The demo page: a client of the same routes that an application's backend calls.

const $ = (id) => document.getElementById(id);
const state = { to: "", verification: null, readAt: 0, checkFrom: 0, proof: null, ahead: 0, busy: false, seen: new Set() };

// ---- the gateway ------------------------------------------------------------------------------------------------

async function ask(method, path, body) {
  const headers = body ? { "content-type": "application/json" } : {};
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw { code: "offline" };
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw answer;
  return answer;
}

const channelWords = { sms: "a text message", call: "a call", whatsapp: "a WhatsApp message", email: "an email" };

// What people are told. Nothing here depends on why exactly the gateway said no.
function inWords(problem) {
  const wait = problem.retry_after ? ` Try again in ${duration(problem.retry_after)}.` : "";
  const instead = (problem.fallback ?? []).filter((channel) => channelWords[channel]);
  const offer = instead.length ? ` ${sentence(instead.map((channel) => channelWords[channel]).join(" or "))} may work.` : "";
  const left = problem.checks_left === 1 ? " One try is left." : problem.checks_left > 1 ? ` ${problem.checks_left} tries are left.` : "";
  switch (problem.code) {
    case "invalid_destination": return "That number or email doesn’t look right. Check it, and include the country code for a number.";
    case "invalid_code": return "A code has digits only. Nothing was counted.";
    case "invalid_request": return "Something in the request doesn’t fit. Please check what you typed.";
    case "wrong_code": return `That’s not the code.${left || " Ask for a new one."}${left && problem.retry_after ? ` You can try again in ${duration(problem.retry_after)}.` : ""}`;
    case "not_found": return "This code can’t be used any more. Ask for a new one.";
    case "channel_unavailable": return `We can’t reach you that way.${offer}`;
    case "cooldown": return `A moment, please.${wait}`;
    case "rate_limited": return `That was a lot of requests.${wait}`;
    case "locked": return problem.retry_after ? `Too many wrong codes.${wait}` : "Too many wrong codes. Please contact support.";
    case "blocked": return "We can’t send a code there. Please contact support.";
    case "step_up_required": return "For this sign-in, another way to confirm it’s you is needed, such as an authenticator app.";
    case "human_check_required": return "Please show first that you’re a person.";
    case "provider_unavailable": return `We can’t send codes just now.${wait || " Please try again shortly."}${offer}`;
    case "store_unavailable":
    case "overloaded": return "We’re having trouble just now. Please try again in a moment.";
    case "offline": return "The gateway doesn’t answer. Is it still running?";
    default: return "That didn’t work. Please try again.";
  }
}

// ---- small things -----------------------------------------------------------------------------------------------

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function duration(seconds) {
  if (seconds < 90) return plural(seconds, "second");
  if (seconds < 5400) return plural(Math.ceil(seconds / 60), "minute");
  if (seconds < 129600) return plural(Math.ceil(seconds / 3600), "hour");
  return plural(Math.ceil(seconds / 86400), "day");
}

const countdown = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const now = () => Date.now() + state.ahead * 1000;
const since = () => (now() - state.readAt) / 1000;

function say(text, bad = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
}

function show(step) {
  for (const id of ["ask", "enter", "done"]) $(id).hidden = id !== step;
  $(step).querySelector(".slot").append($("notice"));
}

// One request of a button at a time; a refusal becomes words.
async function doing(work) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (problem) {
    if (!problem?.code) throw problem;
    say(inWords(problem), true);
  } finally {
    state.busy = false;
    paint();
  }
}

function take(verification) {
  state.verification = verification;
  state.readAt = now();
}

// ---- the three steps --------------------------------------------------------------------------------------------

async function send(channel) {
  const again = state.verification !== null;
  const body = again ? { verification_id: state.verification.verification_id } : { to: state.to };
  if (channel) body.channel = channel;
  try {
    take(await ask("POST", "/verify/send", body));
  } catch (problem) {
    // A first text that cannot arrive: what was offered instead stays one press away.
    if (!again && problem.fallback?.length) offerInstead(problem.fallback);
    if (problem.code === "not_found") restart(false);
    throw problem;
  }
  state.checkFrom = again ? state.checkFrom : 0;
  show("enter");
  $("code").value = "";
  $("code").removeAttribute("aria-invalid");
  $("sent-to").textContent = `${sentence(channelWords[state.verification.channel])} is on its way to ${state.verification.to}.`;
  say(again ? "The code is on its way again." : "");
  $("code").focus();
}

function offerInstead(channels) {
  const channel = channels.find((one) => one === "call");
  if (!channel) return;
  $("send").textContent = "Call me instead";
  $("send").dataset.channel = channel;
}

async function check() {
  const code = $("code").value.trim();
  try {
    const approval = await ask("POST", "/verify/check", { verification_id: state.verification.verification_id, code });
    state.proof = approval.proof;
    state.purpose = state.verification.purpose;
    state.verification = null;
    $("proof").textContent = approval.proof;
    $("redeem").disabled = false;
    show("done");
    say("");
    $("done-title").focus();
  } catch (problem) {
    $("code").setAttribute("aria-invalid", "true");
    $("code").select();
    if (problem.retry_after && ["wrong_code", "cooldown", "locked"].includes(problem.code)) {
      state.checkFrom = now() + problem.retry_after * 1000;
    }
    await refresh().catch(() => {});
    throw problem;
  }
}

async function redeem() {
  const proof = await ask("POST", "/proofs/redeem", { proof: state.proof, purpose: state.purpose, to: state.to });
  $("redeem").disabled = true;
  say(`Spent: ${proof.purpose.replace("_", " ")}, confirmed by ${channelWords[proof.channel]}. A second time it is worth nothing.`);
}

function restart(forget = true) {
  state.verification = null;
  state.checkFrom = 0;
  $("code").value = "";
  delete $("send").dataset.channel;
  $("send").textContent = "Send code";
  show("ask");
  if (forget) say("");
  $("to").focus();
}

async function refresh() {
  if (!state.verification) return;
  take(await ask("GET", `/verify/${encodeURIComponent(state.verification.verification_id)}`));
}

// ---- the phone and the clock ------------------------------------------------------------------------------------

async function readInbox() {
  if (!state.to) return;
  const messages = await ask("GET", `/demo/inbox?to=${encodeURIComponent(state.to)}`);
  const fresh = messages.filter((message) => !state.seen.has(key(message))).reverse();
  for (const message of fresh) {
    state.seen.add(key(message));
    $("messages").prepend(bubble(message));
  }
  $("empty").hidden = $("messages").childElementCount > 0;
  if (fresh.length && state.verification) await refresh();
}

const key = (message) => `${message.at} ${message.channel} ${message.to} ${message.code}`;

function bubble(message) {
  const item = document.createElement("li");
  item.className = message.channel;
  const head = document.createElement("div");
  head.className = "from";
  const kind = { sms: "Text message", call: "Incoming call", whatsapp: "WhatsApp", email: "Mail" }[message.channel] ?? message.channel;
  const time = new Date(message.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  head.append(span(kind), span(time));
  const text = document.createElement("div");
  // Spoken digits stay on one line.
  text.textContent = message.channel === "call" ? `“${message.body.replace(/(\d) (?=\d)/g, "$1\u00a0")}”` : message.body;
  item.append(head, text);
  if (message.code) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "take";
    button.textContent = "Fill in the code";
    button.addEventListener("click", () => {
      if ($("enter").hidden) return;
      $("code").value = message.code;
      $("code").focus();
    });
    item.append(button);
  }
  return item;
}

function span(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}

async function advance(seconds) {
  const clock = await ask("POST", "/demo/clock", { advance_seconds: seconds });
  state.ahead = clock.ahead_seconds;
  say(`The clock went ahead by ${duration(seconds)}.`);
  await refresh();
  await readInbox();
}

function paint() {
  const date = new Date(now());
  $("now").textContent = date.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  $("phone-time").textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  $("send").disabled = state.busy;
  if (!state.verification) return;
  paintVerification(state.verification);
}

function paintVerification(verification) {
  const pending = verification.status === "pending";
  const expires = Math.max(0, verification.expires_in - since());
  const resend = verification.resend_in === null ? null : Math.max(0, Math.ceil(verification.resend_in - since()));
  const wait = Math.max(0, Math.ceil((state.checkFrom - now()) / 1000));
  $("expires").textContent = pending && expires > 0 ? countdown(expires) : "None";
  $("resend-in").textContent = resend === null ? "Not now" : resend > 0 ? countdown(resend) : "Now";
  $("tries").textContent = pending ? verification.checks_left ?? "Unlimited" : "None";
  $("check").disabled = state.busy || wait > 0 || !pending || expires <= 0;
  $("check").textContent = wait > 0 ? `Try again in ${countdown(wait)}` : "Verify";
  $("again").disabled = state.busy || resend === null || resend > 0;
  const phone = verification.channel !== "email";
  $("call").hidden = !phone;
  $("call").disabled = state.busy || !pending;
  const call = verification.next.find((next) => next.channel === "call");
  const callIn = call ? Math.max(0, Math.ceil(call.in - since())) : 0;
  $("call").textContent = callIn > 0 ? `Call me instead in ${countdown(callIn)}` : "Call me instead";
  $("call").classList.toggle("offered", verification.fallback.includes("call"));
}

// ---- wiring -----------------------------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const to = $("to").value.trim();
  if (to !== state.to) {
    // Another number is another phone.
    $("messages").replaceChildren();
    state.seen.clear();
  }
  state.to = to;
  state.verification = null;
  doing(() => send($("send").dataset.channel));
});
$("to").addEventListener("input", () => {
  delete $("send").dataset.channel;
  $("send").textContent = "Send code";
});
$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("check").disabled) doing(check);
});
$("code").addEventListener("input", () => $("code").removeAttribute("aria-invalid"));
$("again").addEventListener("click", () => doing(() => send(state.verification.channel)));
$("call").addEventListener("click", () => doing(() => send("call")));
$("other").addEventListener("click", () => restart());
$("restart").addEventListener("click", () => restart());
$("redeem").addEventListener("click", () => doing(redeem));
for (const button of document.querySelectorAll("[data-advance]")) {
  button.addEventListener("click", () => doing(() => advance(Number(button.dataset.advance))));
}
for (const button of document.querySelectorAll("[data-to]")) {
  button.addEventListener("click", () => {
    $("to").value = button.dataset.to;
    restart();
  });
}

const quietly = (work) => work().catch(() => {});
quietly(async () => { state.ahead = (await ask("GET", "/demo/clock")).ahead_seconds; });
setInterval(paint, 250);
setInterval(() => quietly(readInbox), 1000);
setInterval(() => { if (!state.busy) quietly(refresh); }, 3000);
quietly(readInbox);
paint();
