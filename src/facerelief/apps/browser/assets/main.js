// The page: what is opened, what is shown of it, what can be kept.

import { Crop } from "./crops.js";
import { describe, normalPng, save } from "./downloads.js";
import { clamp, LIMITS, lightAt } from "./gl.js";
import { Camera, readPhoto, shownSize } from "./pictures.js";
import { Stage } from "./stage.js";

const MOST_LIVE = 1; // faces that are followed in a camera's pictures
const SEARCH_EVERY = 15; // pictures of a camera after which all of it is searched again
const AVERAGED = 30; // pictures over which times are told

const byId = (id) => document.getElementById(id);
const state = {
  layer: "normals",
  light: { azimuth: 35, elevation: 25, key: 1, fill: 0.25, shine: 0.12 },
};

/** The worker's jobs as promises. */
class Networks {
  #worker = new Worker("worker.js", { type: "module" });
  #waiting = new Map();
  #count = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
  }

  ask(job, asked, parts = []) {
    return new Promise((resolve, reject) => {
      const id = this.#count++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, job, ...asked }, parts);
    });
  }

  /** The faces of a photo, whose pixels go to the worker. */
  async estimate({ data, width, height }, most, previous) {
    const photo = { data, width, height };
    const { faces, times } = await this.ask("estimate", { photo, most, previous }, [data.buffer]);
    for (const face of faces) { // classes do not survive the way
      const { centre, side, angle, size } = face.place.crop;
      face.place.crop = new Crop(centre, side, angle, size);
    }
    return { faces, times };
  }
}

class App {
  constructor(stage, networks, model) {
    Object.assign(this, { stage, networks, model, state, photo: null, faces: [], frames: [], camera: null, ready: false });
  }

  async open(file) {
    byId("camera").checked = false;
    await this.stopCamera();
    say("Looking for faces");
    this.ready = false;
    try {
      const photo = await readPhoto(file);
      const { faces, times } = await this.networks.estimate(photo, undefined, []);
      this.show(photo, faces);
      const count = faces.length === 1 ? "1 face" : `${faces.length || "No"} face${faces.length ? "s" : " found"}`;
      say(`${count}; ${Math.round(times.find)} ms to search, ${Math.round(times.network)} ms for normals`);
    } catch (error) {
      say(`${file.name}: ${error.message}`);
    }
    this.ready = true;
  }

  /** Puts a picture and its faces on the stage. Drawn smaller than it is where it is large. */
  show(photo, faces) {
    Object.assign(this, { photo, faces });
    const { width, height } = shownSize(photo.width, photo.height), factor = width / photo.width;
    const drawn = faces.map((face) => {
      const { crop } = face.place;
      const centre = [factor * crop.centre[0], (height / photo.height) * crop.centre[1]];
      return { ...face, place: { ...face.place, crop: new Crop(centre, factor * crop.side, crop.angle) } };
    });
    this.stage.set(photo.source, width, height, drawn);
    byId("canvas").classList.add("filled");
    byId("hint").hidden = false;
    byId("hint").textContent = faces.length ? "Drag to move the light" : "No face found";
    for (const id of ["save-normal", "save-json"]) byId(id).disabled = !faces.length;
    byId("save-shown").disabled = false;
    if (byId("face").options.length !== faces.length) {
      byId("face").replaceChildren(...faces.map((_, index) => new Option(`Face ${index + 1}`, index)));
      byId("face").hidden = faces.length < 2;
    }
    const lines = faces.flatMap(({ warnings }, index) =>
      warnings.map((text) => (faces.length > 1 ? `Face ${index + 1}: ${text}` : text)));
    byId("warnings").replaceChildren(...lines.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    this.draw();
  }

  draw() {
    this.stage.draw(state);
  }

  async startCamera() {
    try {
      this.camera = await Camera.open(byId("video"));
    } catch (error) {
      byId("camera").checked = false;
      say(`Camera: ${error.message}`);
      return;
    }
    this.running = this.follow();
  }

  async stopCamera() {
    const { camera } = this;
    this.camera = null;
    camera?.close();
    await this.running;
  }

  /** Answers the camera's pictures until it is closed. */
  async follow() {
    let places = [], count = 0, began = performance.now();
    const { camera } = this;
    const begin = () => {
      const picture = camera.take(), previous = count++ % SEARCH_EVERY ? places : [];
      return { picture, answer: this.networks.estimate(picture, MOST_LIVE, previous) };
    };
    this.frames = [];
    for (let next = begin(); ;) {
      const { picture, answer } = next, { faces, times } = await answer;
      if (this.camera !== camera) return;
      places = faces.map((face) => face.place);
      next = begin(); // the worker has it while this one is drawn
      this.show(picture, faces);
      // A picture of the screen's is waited for, so that the page is drawn and answers people.
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      this.frames.push({ ...times, all: now - began, faces: faces.length });
      began = now;
      if (this.frames.length % 4 === 0) {
        const last = this.frames.slice(-AVERAGED), mean = (key) => last.reduce((sum, one) => sum + one[key], 0) / last.length;
        say(`${(1000 / mean("all")).toFixed(1)} pictures a second; ${mean("find").toFixed(0)} ms to find, ${mean("network").toFixed(0)} ms for normals`);
      }
    }
  }

  chosenFace() {
    return this.faces[Number(byId("face").value) || 0];
  }

  async saveNormal() {
    save(await this.normalPng(), `${this.#stem()}_normal.png`);
  }

  normalPng() {
    return normalPng(this.chosenFace(), 256, this.model.version);
  }

  description() {
    return describe(this.chosenFace(), this.photo, this.model, this.model.version);
  }

  saveJson() {
    const text = JSON.stringify(this.description(), null, 2);
    save(new Blob([text + "\n"], { type: "application/json" }), `${this.#stem()}.json`);
  }

  saveShown() {
    this.draw();
    byId("canvas").toBlob((blob) => save(blob, `${this.#stem()}_${state.layer}.png`), "image/png");
  }

  #stem() {
    const name = this.photo.name.replace(/\.[^.]*$/, "") || "photo";
    return this.faces.length > 1 ? `${name}_${Number(byId("face").value) || 0}` : name;
  }
}

const say = (text) => (byId("status").textContent = text);

function reflect() {
  for (const [id, value] of Object.entries(state.light)) {
    byId(id).value = value;
    byId(id).nextElementSibling.textContent = ["azimuth", "elevation"].includes(id) ? `${Math.round(value)}°` : Number(value).toFixed(2);
  }
  byId("legend").hidden = state.layer !== "error";
}

/** Lets people move the light, choose what is shown, open and keep pictures. */
function listen(app) {
  const canvas = byId("canvas");
  const change = (light) => {
    Object.assign(state.light, light);
    reflect();
    app.draw();
  };
  const point = (event) => {
    const box = canvas.getBoundingClientRect(), half = Math.min(box.width, box.height) / 2;
    const x = event.clientX - box.left - box.width / 2, y = event.clientY - box.top - box.height / 2;
    change(lightAt(x / half, -y / half));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    point(event);
  });
  canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && point(event));
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: ["azimuth", 1], ArrowRight: ["azimuth", -1], ArrowUp: ["elevation", 1], ArrowDown: ["elevation", -1] };
    if (!moves[event.key]) return;
    event.preventDefault();
    const [name, sign] = moves[event.key];
    change({ [name]: clamp(state.light[name] + sign * (event.shiftKey ? 15 : 5), ...LIMITS[name]) });
  });
  for (const id of Object.keys(state.light)) byId(id).addEventListener("input", (event) => change({ [id]: Number(event.target.value) }));
  for (const input of document.querySelectorAll("input[name=layer]")) {
    input.addEventListener("change", () => {
      state.layer = input.value;
      reflect();
      app.draw();
    });
  }
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) app.open(target.files[0]);
    target.value = "";
  });
  byId("camera").addEventListener("change", ({ target }) => (target.checked ? app.startCamera() : app.stopCamera()));
  byId("save-normal").addEventListener("click", () => app.saveNormal());
  byId("save-json").addEventListener("click", () => app.saveJson());
  byId("save-shown").addEventListener("click", () => app.saveShown());
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) app.open(event.dataTransfer.files[0]);
  });
}

/** Whether the page is about to be loaded again, by a service worker that lets it use threads. */
async function isolate() {
  if (globalThis.crossOriginIsolated || !("serviceWorker" in navigator) || sessionStorage.getItem("tried")) return false;
  sessionStorage.setItem("tried", "1");
  await navigator.serviceWorker.register("isolation.js");
  await navigator.serviceWorker.ready;
  location.reload();
  return true;
}

function drawLegend(colours) {
  const context = byId("legend-bar").getContext("2d");
  for (let step = 0; step < 10; step++) {
    const [r, g, b] = colours.slice(3 * step, 3 * step + 3).map((value) => Math.round(255 * value));
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect(step, 0, 1, 1);
  }
}

async function main() {
  if (await isolate().catch(() => false)) return;
  const settings = await (await fetch("model.json")).json();
  const networks = new Networks(), asked = new URLSearchParams(location.search);
  const app = new App(new Stage(byId("canvas"), settings.shaders, settings.colours), networks, settings.model);
  document.documentElement.app = app;
  drawLegend(settings.colours);
  reflect();
  const gpu = asked.has("gpu") && Boolean(settings.ort.webgpu) && Boolean(navigator.gpu);
  const threads = Number(asked.get("threads")) || Math.min(navigator.hardwareConcurrency || 1, 4);
  await networks.ask("load", { threads, gpu });
  byId("engine").textContent = gpu ? "Runs on the graphics card (WebGPU)."
    : globalThis.crossOriginIsolated ? `Runs in WebAssembly, on ${threads} threads.`
      : "Runs in WebAssembly, on one thread: the server's headers allow no more.";
  byId("hint").textContent = "Open a photo, or drop one here";
  listen(app);
  app.ready = true;
}

main().catch((error) => {
  byId("hint").textContent = "This page cannot run here";
  say(error.message);
});
