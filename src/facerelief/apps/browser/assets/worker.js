// The networks work here, so that the page stays quick. Messages are { id, ... }, and so are answers.

import { load } from "./runtime.js";
import { Crop } from "./crops.js";
import { fromRgba } from "./sampling.js";

let estimator = null;

const JOBS = {
  async load(asked) {
    estimator = await load(asked);
    return { isolated: globalThis.crossOriginIsolated };
  },
  async estimate({ photo, most, previous = [] }) {
    const places = previous.map((place) => {
      const { centre, side, angle, size } = place.crop;
      return { ...place, crop: new Crop(centre, side, angle, size) };
    });
    return estimator.estimate(fromRgba(photo), most, places);
  },
};

addEventListener("message", async ({ data: { id, job, ...asked } }) => {
  try {
    const result = await JOBS[job](asked);
    const parts = (result.faces ?? []).flatMap((face) =>
      [face.normals, face.mask, face.error, face.picture.data].filter(Boolean).map((array) => array.buffer));
    postMessage({ id, result }, parts);
  } catch (error) {
    postMessage({ id, error: error.message || String(error) });
  }
});
