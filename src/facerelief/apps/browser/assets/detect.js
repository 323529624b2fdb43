// Faces in a photo: the searches of `detect.py`, but for its tiles of photos above 4,800 pixels.
//
// A photo is scanned small, for large faces, and again, larger, for small ones. A doubtful face is
// looked at again in up to eight turns. A photo in which nothing is found is tried enlarged, on each
// side and on its head, with room round it, and with its shadows lifted.

import { Crop } from "./crops.js";
import { fromCrop, misfit, roll, TILT, Detection } from "./detections.js";
import { maxima, MEAN_RGB, OVERLAP, overlap } from "./retinaface.js";
import { cut, emptyPicture, resize, round, turned } from "./sampling.js";

export const LARGEST_SIDE = 1600, RESOLVED = 24, ENLARGEMENT = 2;
const QUICK_SHARE = 0.44, QUICK_SIDE = 192, SMALL = 64, BESIDE = 0.3, MOST_SPOTS = 5, MOST_LOOKS = 64;
const ENLARGED = 800, SEARCH_SIDE = 640, MARGIN = 32, PADDING = 64;
const CERTAIN = 0.9, SURE = 0.998, LOOK_SIZE = 160, LOOK_MARGIN = 2, MISFIT = 0.2;
const SECOND_LOOKS = [[1, 0.5], [1.8, 1], [1.8, 0.5]];

const longerSide = (photo) => Math.max(photo.width, photo.height);
const byScore = (one, other) => other.score - one.score;
const byArea = (one, other) => other.area - one.area;
const wrapped = (angle) => ((((angle + 180) % 360) + 360) % 360) - 180;

export class Detector {
  constructor(network, threshold = 0.8) {
    Object.assign(this, { network, threshold });
  }

  /** The faces of a photo, largest first, at most `most`, down to boxes of `smallest` pixels. */
  async find(photo, most, quick, smallest) {
    const candidates = await this.#candidates(photo, quick, smallest);
    const faces = await this.#settled(photo, candidates, most);
    return faces.length ? faces : this.#lookAgain(photo, most);
  }

  /** The faces of `last`, found in the picture before this one; null if one was lost. */
  async follow(photo, last) {
    const now = [];
    for (const face of last) {
      const [near] = await this.#lookCloser(photo, face, [face.angle]);
      if (!near || near.score < CERTAIN || Math.abs(roll(near.points) - near.angle) > TILT) return null;
      now.push(near);
    }
    return now;
  }

  async #settled(photo, candidates, most) {
    const faces = [];
    for (const candidate of [...candidates].sort(byArea)) {
      if (faces.length >= most) break;
      let face = isDoubtful(candidate) ? await this.#settle(photo, candidate) : candidate;
      if (face.score < this.threshold) continue;
      if (face.score < SURE || face.angle) face = await this.#righted(photo, face);
      if (!faces.some((other) => overlap(face.box, other.box) > OVERLAP)) faces.push(face);
    }
    return faces.sort(byArea);
  }

  async #righted(photo, face) {
    const looks = await this.#lookCloser(photo, face, [face.angle, face.angle + 180]);
    const best = looks.reduce((one, other) => (other.score > one.score ? other : one), looks[0] ?? face);
    if (best.angle === face.angle || best.score < this.threshold) return face;
    const angle = roll(best.points);
    return (await this.#lookCloser(photo, best, [Math.abs(angle) > TILT ? angle : 0]))[0] ?? best;
  }

  async #lookAgain(photo, most) {
    for (const [share, power] of SECOND_LOOKS) {
      const crop = new Crop([photo.width / 2, photo.height / 2], share * longerSide(photo), 0, SEARCH_SIDE);
      const picture = crop.extract(photo);
      picture.data = picture.data.map((value) => round(255 * (value / 255) ** power));
      const [boxes] = await this.#scan(picture);
      const found = await this.#settled(picture, boxes, most);
      if (found.length) return found.map((face) => face.enlarged(crop.scale, crop.toPhoto([0, 0])));
    }
    return [];
  }

  async #candidates(photo, quick, smallest) {
    const longer = longerSide(photo);
    const full = Math.max(round(longer * Math.min(RESOLVED / smallest, ENLARGEMENT)), Math.min(longer, QUICK_SIDE));
    const whole = Math.min(full, LARGEST_SIDE), side = Math.max(round(QUICK_SHARE * whole), QUICK_SIDE);
    const once = side > 0.8 * whole || (!quick && whole <= ENLARGED);
    let faces = once ? (await this.#scan(photo, whole))[0] : await this.#scanTwice(photo, side, whole, quick);
    if (!faces.length && full <= longer && longer <= ENLARGED) [faces] = await this.#scan(photo, 2 * longer);
    return faces.length ? faces : this.#search(photo);
  }

  async #scanTwice(photo, side, full, quick) {
    const longer = longerSide(photo);
    const [first, hints] = await this.#scan(photo, side);
    const spots = spotsOf(hints.filter((place) => !liesIn(place, first)), ((LOOK_SIZE / 3) * longer) / full);
    const isSure = first.length && quick && first.every((face) => face.score >= CERTAIN);
    let second;
    if (isSure && spots.length <= MOST_SPOTS) {
      const looks = spots.map((spot) => new Crop(spot, (LOOK_SIZE * longer) / full, 0, LOOK_SIZE));
      second = (await this.#look(photo, looks)).flat();
    } else {
      const [found, more] = await this.#scan(photo, full);
      if (full <= ENLARGED) return found;
      second = found;
      if (!quick && longer > full) {
        second = [...found, ...(await this.#lookAt(photo, more, [...first, ...found], longer / full))];
      }
    }
    second = second.filter((face) => Math.max(...face.extent) < (SMALL * longer) / side);
    for (const face of first) second.push(await this.#levelled(photo, face));
    return suppressed(second);
  }

  async #lookAt(photo, hints, faces, scale) {
    const places = hints.filter((place) => !liesIn(place, faces));
    const spots = spotsOf(places, (LOOK_SIZE / 6) * scale).slice(0, MOST_LOOKS);
    const looks = spots.map((spot) => new Crop(spot, (LOOK_SIZE / 2) * scale, 0, LOOK_SIZE));
    return (await this.#look(photo, looks)).flat();
  }

  async #levelled(photo, face) {
    const tilt = Math.abs(roll(face.points));
    if (tilt <= TILT / 2 || tilt > TILT) return face;
    return (await this.#lookCloser(photo, face, [0]))[0] ?? face;
  }

  /** Boxes in the photo laid on each side and on its head. */
  async #search(photo) {
    const faces = [];
    for (const angle of [90, 180, 270]) {
      const crop = new Crop([photo.width / 2, photo.height / 2], longerSide(photo), angle, SEARCH_SIDE);
      faces.push(...(await this.#look(photo, [crop]))[0]);
    }
    return suppressed(faces);
  }

  /** Boxes, and places of all that may be small faces, of a photo at `side` pixels or its own. */
  async #scan(photo, side = null) {
    const longer = longerSide(photo), scale = side === null ? 1 : longer / side;
    const [width, height] = [photo.width, photo.height].map((length) => Math.max(round(length / scale), 1));
    const part = side === null ? photo : resize(photo, width, height);
    const room = Math.min(Math.max(round(longer / scale / 10), MARGIN), PADDING);
    const [{ faces, hints }] = await this.network.run([padded(part, room)]);
    const moved = ([x, y]) => [(x - room) * scale, (y - room) * scale];
    const found = faces.map(({ box, score, points }) =>
      new Detection([...moved(box.slice(0, 2)), ...moved(box.slice(2))], score, points.map(moved)));
    return [found, hints.map(moved)];
  }

  /** Boxes in each of `crops`, best first; the crops have one size. */
  async #look(photo, crops) {
    const found = [];
    for (let start = 0; start < crops.length; start += 8) {
      const part = crops.slice(start, start + 8);
      const seen = await this.network.run(part.map((crop) => cutOut(photo, crop)));
      seen.forEach(({ faces }, index) => found.push(faces.map((face) => fromCrop(part[index], face))));
    }
    return found;
  }

  /** A face after a second look in up to eight turns: its true score, and upright. */
  async #settle(photo, face) {
    let looks = await this.#lookCloser(photo, face, [0, 90, 180, 270]);
    if (!stands(looks)) looks = [...looks, ...(await this.#lookCloser(photo, face, [45, 135, 225, 315]))];
    if (!looks.length) return face.with({ score: 0 });
    // Scores near 1 tie: then the turn counts in which the face is most nearly upright.
    const worth = (look) => look.score - Math.abs(wrapped(roll(look.points) - look.angle)) / 3600;
    const best = looks.reduce((one, other) => (worth(other) > worth(one) ? other : one));
    const angle = roll(best.points);
    if (Math.abs(angle) > TILT) return (await this.#lookCloser(photo, best, [angle]))[0] ?? best;
    return (looks.find((look) => look.angle === 0) ?? face).with({ score: best.score });
  }

  /** The best box near the middle of a picture of a face, for each turn that shows one. */
  async #lookCloser(photo, face, angles) {
    const side = LOOK_MARGIN * Math.max(...face.extent), [x, y] = face.centre;
    const crops = angles.map((angle) => new Crop(face.centre, side, angle, LOOK_SIZE));
    const isNear = ({ centre }) => Math.hypot(centre[0] - x, centre[1] - y) < 0.2 * side;
    return (await this.#look(photo, crops)).map((found) => found.find(isNear)).filter(Boolean);
  }
}

/** A crop's picture: quarter turns are those of the upright one, so that no pixel is read anew. */
function cutOut(photo, crop) {
  const quarters = Math.floor(crop.angle / 90);
  const upright = new Crop(crop.centre, crop.side, crop.angle - 90 * quarters, crop.size);
  return turned(upright.extract(photo), quarters);
}

function padded(picture, room) {
  const result = emptyPicture(picture.width + 2 * room, picture.height + 2 * room);
  for (let at = 0; at < result.data.length; at++) result.data[at] = MEAN_RGB[at % 3];
  const inner = cut(picture, 0, 0, picture.width, picture.height), row = 3 * inner.width;
  for (let y = 0; y < inner.height; y++) {
    result.data.set(inner.data.subarray(y * row, (y + 1) * row), 3 * ((y + room) * result.width + room));
  }
  return result;
}

function isDoubtful(face) {
  return face.score < CERTAIN || Math.abs(roll(face.points)) > TILT || misfit(face.points) > MISFIT;
}

function liesIn([x, y], faces) {
  return faces.some(({ box: [x0, y0, x1, y1] }) => {
    const across = BESIDE * (x1 - x0), down = BESIDE * (y1 - y0);
    return x > x0 - across && x < x1 + across && y > y0 - down && y < y1 + down;
  });
}

/** Some of the places, none of which is farther than `reach` from one of them. */
function spotsOf(places, reach) {
  const spots = [];
  for (let left = places; left.length; ) {
    const [x, y] = left[0];
    spots.push([x, y]);
    left = left.filter((place) => Math.max(Math.abs(place[0] - x), Math.abs(place[1] - y)) > reach);
  }
  return spots;
}

function stands(looks) {
  const sure = looks.filter((face) => face.score >= CERTAIN);
  return sure.length === 1 && sure[0].angle === 0 && Math.abs(roll(sure[0].points)) < TILT / 2;
}

function suppressed(faces) {
  return maxima([...faces].sort(byScore));
}
