// Photos to faces: the ONNX sessions, and what their arrays mean, as `runtime.py` has it.

import { calibrated, warningsOf } from "./doubts.js";
import { Detector } from "./detect.js";
import { find } from "./finding.js";
import { solid } from "./matte.js";
import { RetinaFace } from "./retinaface.js";

export const CROP_SIZE = 256;

/** The estimator of a page's folder. `threads` are used where the page is isolated; `gpu` asks for WebGPU. */
export async function load({ threads, gpu }) {
  const { model, ort: files } = await (await fetch("model.json")).json();
  const ort = await import(`./${gpu ? files.webgpu : files.wasm}`);
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? threads : 1;
  ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
  const open = (file, providers) =>
    ort.InferenceSession.create(file, { executionProviders: providers, logSeverityLevel: 3 });
  const network = await open("network.onnx", gpu ? ["webgpu", "wasm"] : ["wasm"]);
  const detector = new Detector(new RetinaFace(ort, await open("detector.onnx", ["wasm"])));
  return new Estimator(ort, network, detector, model);
}

export class Estimator {
  constructor(ort, network, detector, model) {
    Object.assign(this, { ort, network, detector, model });
  }

  /** The faces of a photo (RGB), and the milliseconds that finding and the network took. */
  async estimate(photo, most = Infinity, previous = []) {
    const began = performance.now();
    const places = await find(this.detector, photo, most, previous);
    const found = performance.now(), faces = [];
    for (const place of places) faces.push(await this.#face(photo, place));
    return { faces, times: { find: found - began, network: performance.now() - found } };
  }

  async #face(photo, place) {
    const picture = place.crop.extract(photo), shape = [1, CROP_SIZE, CROP_SIZE, 3];
    const crops = new this.ort.Tensor("uint8", picture.data, shape);
    const answers = await this.network.run({ crops });
    const whole = solid(answers.mask.data, CROP_SIZE);
    const own = answers.expected_error?.data, { calibration } = this.model;
    const error = own && (calibration ? calibrated(own, picture, whole, calibration) : own.slice());
    const mask = place.crop.keepInside(whole, photo.width, photo.height);
    const warnings = warningsOf(picture, place.crop.side, mask, error);
    return { place, picture, normals: answers.normals.data.slice(), mask, error, warnings };
  }
}
