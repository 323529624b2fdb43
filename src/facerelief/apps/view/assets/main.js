// The page: what can be chosen, and what is on the stage for it.

const LAYERS = [
  { id: "relit", label: "Relit photo", of: "picture" },
  { id: "normals", label: "Normals", of: "picture" },
  { id: "shading", label: "Shading", of: "picture" },
  { id: "error", label: "Expected error", of: "picture" },
  { id: "mesh", label: "Mesh", of: "solid" },
  { id: "texture", label: "Texture", of: "solid" },
  { id: "wire", label: "Wireframe", of: "solid" },
];
const START = {
  light: { azimuth: 35, elevation: 25, key: 1.0, fill: 0.25, shine: 0.12 },
  view: { yaw: 0, pitch: 0, zoom: 1 },
  split: 0,
};

const scene = JSON.parse(document.getElementById("scene").textContent);
const byId = (id) => document.getElementById(id);
const state = { ...structuredClone(START), subject: 0, layer: "relit", drag: "mesh", detail: true, systems: new Set() };
const loaded = new Map(); // of layers and solids of the scene: what the stage draws, or its promise

/** Whether a subject has what a layer shows. */
function has(subject, layer) {
  if (layer.of === "solid") {
    return subject.solids.some((solid) => layer.id !== "texture" || solid.colours || solid.mesh.colours);
  }
  if (layer.id === "relit") return Boolean(subject.picture) && subject.layers.length > 0;
  return subject.layers.some((one) => layer.id !== "error" || one.hasError);
}

const namesOf = (subject) => [...new Set([...subject.layers, ...subject.solids].map((one) => one.name))];

function once(key, make) {
  if (!loaded.has(key)) loaded.set(key, make());
  return loaded.get(key);
}

/** What one system shows of the subject in the layer that is chosen. */
async function paneOf(stage, subject, name) {
  const layer = LAYERS.find((one) => one.id === state.layer);
  const found = subject[layer.of === "solid" ? "solids" : "layers"].find((one) => one.name === name);
  if (!found) return { label: name, missing: layer.of === "solid" ? "makes no mesh" : "makes no normals" };
  if (layer.of === "solid") return { label: name, solid: await once(found, () => stage.solids.load(found)) };
  if (layer.id === "error" && !found.hasError) return { label: name, missing: "tells no error" };
  const photo = subject.picture && (await once(subject, () => loadImage(subject.picture)));
  return { label: name, picture: await once(found, () => stage.pictures.load(found, photo)) };
}

/** The systems that are compared; of those that have the layer the first where none of them does. */
function chosenNames(subject) {
  const layer = LAYERS.find((one) => one.id === state.layer);
  const parts = layer.of === "solid" ? subject.solids : subject.layers;
  const names = namesOf(subject).filter((name) => state.systems.has(name));
  return parts.some((one) => names.includes(one.name)) ? names : [parts[0].name];
}

let asked = 0;

async function refresh(stage) {
  const turn = ++asked, subject = scene.subjects[state.subject];
  const panes = await Promise.all(chosenNames(subject).map((name) => paneOf(stage, subject, name)));
  if (turn !== asked) return; // something else was chosen meanwhile
  stage.set(panes, state);
  document.documentElement.dataset.shown = `${state.subject} ${state.layer} ${panes.map((pane) => pane.label)}`;
}

/** Shows the values of `state` in the controls, and says the light for those who do not see it. */
function reflect() {
  for (const [id, value] of Object.entries({ ...state.light, split: 100 * state.split })) {
    byId(id).value = value;
    const unit = { azimuth: "°", elevation: "°", split: " %" }[id];
    byId(id).nextElementSibling.textContent = unit ? Math.round(value) + unit : Number(value).toFixed(2);
  }
  const { azimuth, elevation } = state.light;
  const across = azimuth ? `${Math.abs(Math.round(azimuth))}° from the ${azimuth > 0 ? "left" : "right"}` : "from the front";
  const up = `${Math.abs(Math.round(elevation))}° ${elevation < 0 ? "below" : "above"}`;
  byId("status").textContent = `Light ${across}, ${up}`;
}

/** Takes new values of light, view and split, and draws them. */
function change(stage, values) {
  Object.assign(state, values);
  reflect();
  stage.redraw();
}

function option(kind, group, value, label, checked, chosen) {
  const element = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: kind, name: group, value, checked });
  input.addEventListener("change", () => chosen(input));
  const text = document.createElement("span");
  text.textContent = label;
  element.append(input, text);
  return element;
}

/** The choices that a subject has. */
function offer(stage) {
  const subject = scene.subjects[state.subject];
  const layers = LAYERS.filter((layer) => has(subject, layer));
  if (!layers.some((layer) => layer.id === state.layer)) state.layer = layers[0].id;
  const names = namesOf(subject);
  if (!names.some((name) => state.systems.has(name))) state.systems = new Set(names.slice(0, 1));
  byId("layers").replaceChildren(...layers.map((layer) =>
    option("radio", "layer", layer.id, layer.label, layer.id === state.layer, (input) => {
      state.layer = input.value;
      settle(stage);
    })));
  byId("systems").replaceChildren(...names.map((name) =>
    option("checkbox", "system", name, name, state.systems.has(name), (input) => {
      if (input.checked) state.systems.add(name);
      else state.systems.delete(name);
      if (!state.systems.size) { // one is always shown
        state.systems.add(name);
        input.checked = true;
      }
      settle(stage);
    })));
  byId("systems-part").hidden = names.length < 2;
  byId("warnings").replaceChildren(...subject.warnings.map((text) =>
    Object.assign(document.createElement("li"), { textContent: text })));
  const terms = new Map([...subject.layers, ...subject.solids].map((one) => [one.name, one.terms]));
  byId("terms").replaceChildren(...[...terms].filter(([, text]) => text).map(([name, text]) =>
    Object.assign(document.createElement("li"), { textContent: `${name} (${text})` })));
}

/** Brings controls and stage to what is chosen. */
function settle(stage) {
  const layer = LAYERS.find((one) => one.id === state.layer);
  const subject = scene.subjects[state.subject];
  const isSolid = layer.of === "solid", hasRelief = layer.id !== "wire" && subject.solids.some((solid) => solid.bumps);
  byId("mesh-part").hidden = !isSolid;
  byId("detail-choice").hidden = !hasRelief;
  byId("split-part").hidden = isSolid ? !(hasRelief && state.detail) : !subject.picture;
  byId("split-name").textContent = isSolid ? "Without / with detail" : "Before / after";
  byId("legend").hidden = layer.id !== "error";
  byId("hint").textContent = isSolid && state.drag === "mesh"
    ? "Drag to turn; pinch or scroll to zoom" : "Drag to move the light";
  reflect();
  return refresh(stage);
}

function start() {
  document.title = `${scene.title} – facerelief`;
  byId("title").textContent = scene.title;
  const canvas = byId("canvas");
  let stage;
  try {
    stage = new Stage(canvas, byId("overlay"), scene.shaders, scene.scale);
  } catch (error) {
    byId("hint").textContent = `Nothing can be drawn: ${error.message}`;
    return;
  }
  const tell = (values) => change(stage, values);
  listen(stage, state, tell);
  for (const id of ["azimuth", "elevation", "key", "fill", "shine"]) {
    byId(id).addEventListener("input", (event) => tell({ light: { ...state.light, [id]: Number(event.target.value) } }));
  }
  byId("split").addEventListener("input", (event) => tell({ split: Number(event.target.value) / 100 }));
  byId("detail").addEventListener("change", (event) => {
    state.detail = event.target.checked;
    settle(stage);
  });
  for (const input of document.getElementsByName("drag")) {
    input.addEventListener("change", () => {
      state.drag = input.value;
      settle(stage);
    });
  }
  byId("reset").addEventListener("click", () => tell(structuredClone(START)));
  const subjects = byId("subject");
  subjects.replaceChildren(...scene.subjects.map((subject, index) => new Option(subject.title, index)));
  byId("subject-part").hidden = scene.subjects.length < 2;
  subjects.addEventListener("change", () => {
    state.subject = Number(subjects.value);
    offer(stage);
    settle(stage);
  });
  const steps = scene.scale.colours, colours = [];
  for (let at = 0; at < steps.length; at += 3) {
    colours.push(`rgb(${steps.slice(at, at + 3).map((value) => Math.round(255 * value))})`);
  }
  byId("legend-bar").style.background = `linear-gradient(to right, ${colours})`;
  byId("legend-end").textContent = `${scene.scale.degrees}° or more`;
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => location.reload());
  document.documentElement.stage = stage; // for tests and curious people
  offer(stage);
  settle(stage);
}

start();
