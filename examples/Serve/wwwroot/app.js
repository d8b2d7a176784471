// Lists the skills, classifies the text, and shows how often the skill is right when it is as sure as it is of this text.
const $ = (id) => document.getElementById(id);
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const skills = new Map();

const make = (name, className, text) => {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text ?? "";
  return element;
};

const shape = (name, attributes, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text ?? "";
  return element;
};

async function ask(path, body) {
  const response = await fetch(path, body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  const error = new Error(problem.detail ?? problem.title ?? `The service answered ${response.status}.`);
  error.status = response.status;
  error.retryAfter = Number(response.headers.get("Retry-After"));
  throw error;
}

async function loadSkills() {
  try {
    for (const skill of await ask("skills")) {
      skills.set(skill.name, skill);
      $("skill").append(new Option(skill.name, skill.name));
    }
    $("error").textContent = "";
    $("classify").disabled = false;
    choose();
  } catch (error) {
    $("error").textContent = error.message;
    setTimeout(loadSkills, 1000 * (error.retryAfter || 5));
  }
}

function choose() {
  const skill = skills.get($("skill").value);
  $("pair").hidden = !skill.isPair;
  $("second").required = skill.isPair;
  $("result").hidden = true;
  showCalibration(skill.calibration, null);
}

async function classify(event) {
  event.preventDefault();
  $("classify").disabled = true;
  $("error").textContent = "";
  try {
    const skill = skills.get($("skill").value);
    const body = { text: $("text").value, ...(skill.isPair && { textPair: $("second").value }) };
    const [result] = (await ask(`classify/${encodeURIComponent(skill.name)}`, body)).results;
    show(result, skill);
  } catch (error) {
    $("result").hidden = true;
    $("error").textContent = error.message;
  }
  $("classify").disabled = false;
}

function show(result, skill) {
  const rows = Object.entries(result.probabilities ?? {}).sort((one, other) => other[1] - one[1]);
  const confidence = result.label === undefined ? null : rows[0][1];
  $("label").textContent = result.label ?? result.labels?.join(", ") ?? `Score ${result.score.toFixed(2)}`;
  $("bars").replaceChildren(...rows.map(([label, probability]) => {
    const item = make("li", "");
    const track = make("div", "track");
    const bar = make("div", "bar");
    bar.style.width = percent(probability).replace(" ", "");
    track.setAttribute("aria-hidden", "true");
    track.append(bar);
    item.append(make("span", "name", label), make("span", "value", percent(probability)), track);
    return item;
  }));
  const bin = confidence !== null && skill.calibration?.bins.find((one) => confidence > one.lower && confidence <= one.upper);
  $("sure").textContent = bin
    ? `When it was about as sure as this (${percent(bin.lower)} to ${percent(bin.upper)}), it was right in ${percent(bin.accuracy)} of ${bin.count} test rows.`
    : "";
  $("result").hidden = false;
  showCalibration(skill.calibration, bin);
}

function showCalibration(calibration, current) {
  $("calibration").hidden = !calibration;
  if (!calibration) return;
  $("quality").textContent = `Right in ${percent(calibration.accuracy)} of ${calibration.count} test rows; expected calibration error ${percent(calibration.expectedCalibrationError)}.`;
  $("bins").replaceChildren(...calibration.bins.map((bin) => {
    const row = make("tr", bin === current ? "current" : "");
    row.append(make("td", "", percent(bin.confidence)), make("td", "", percent(bin.accuracy)), make("td", "", bin.count));
    return row;
  }));

  // The unit square is 180 wide and begins at (40, 10).
  const x = (value) => 40 + 180 * value, y = (value) => 190 - 180 * value;
  $("diagram").replaceChildren(
    ...calibration.bins.map((bin) => shape("rect", {
      x: x(bin.lower) + 1, width: x(bin.upper) - x(bin.lower) - 2, y: y(bin.accuracy), height: y(0) - y(bin.accuracy),
      class: bin === current ? "current" : "",
    })),
    shape("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "ideal" }),
    shape("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(0), class: "axis" }),
    shape("line", { x1: x(0), y1: y(0), x2: x(0), y2: y(1), class: "axis" }),
    ...[0, 0.5, 1].flatMap((tick) => [
      shape("text", { x: x(tick), y: 202, "text-anchor": "middle" }, 100 * tick),
      shape("text", { x: 34, y: y(tick) + 3, "text-anchor": "end" }, 100 * tick),
    ]),
    shape("text", { x: x(0.5), y: 215, "text-anchor": "middle" }, "how sure it was, %"),
    shape("text", { x: 10, y: y(0.5), "text-anchor": "middle", transform: `rotate(-90 10 ${y(0.5)})` }, "how often right, %"),
  );
}

$("skill").addEventListener("change", choose);
$("form").addEventListener("submit", classify);
$("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.ctrlKey) $("form").requestSubmit($("classify"));
});
loadSkills();
