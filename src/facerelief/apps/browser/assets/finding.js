// From a photo to the places of its faces: `finding.py`.

import { cropFromDetection, Detection } from "./detections.js";
import { LARGEST_SIDE, RESOLVED } from "./detect.js";
import { round } from "./sampling.js";

const SMALLEST = 48; // pixels of the smallest face that is looked for in a large photo

/** Places { crop, box, score, points }, largest face first. `previous`: those of the frame before. */
export async function find(detector, photo, most = Infinity, previous = []) {
  const quick = most === 1, longer = Math.max(photo.width, photo.height);
  const least = Math.max(RESOLVED, (RESOLVED * longer) / LARGEST_SIDE);
  const smallest = quick ? least : Math.min(least, SMALLEST);
  if (previous.length) {
    const last = previous.map(({ box, score, points, crop }) => new Detection(box, score, points, crop.angle));
    const followed = await detector.follow(photo, last);
    if (followed) return followed.map(placeOf);
  }
  const faces = await detector.find(photo, most, quick, smallest);
  const size = (face) => round(face.extent[0]) * round(face.extent[1]);
  faces.sort((one, other) => size(other) - size(one) || one.centre[0] - other.centre[0] || one.centre[1] - other.centre[1]);
  return faces.slice(0, most).map(placeOf);
}

function placeOf(face) {
  return { crop: cropFromDetection(face), box: face.box, score: face.score, points: face.points };
}
