// Pictures of files and cameras as pixels.

export const LONGEST = 4800; // pixels of a photo's longer side: larger ones are made smaller
const SHOWN = 1600; // pixels of what is drawn

/** Pixels { data (RGBA), width, height } of a file, upright and over white; and what is drawn of it. */
export async function readPhoto(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const { width, height } = scaledTo(LONGEST, bitmap.width, bitmap.height);
  if (Math.min(width, height) < 16) throw new Error(`${width} x ${height} pixels: a photo needs 16 on each side`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { name: file.name, ...pixelsOf(context), source: context.canvas };
}

/** How large a picture is drawn. */
export const shownSize = (width, height) => scaledTo(SHOWN, width, height);

function scaledTo(most, width, height) {
  const share = Math.min(1, most / Math.max(width, height));
  return { width: Math.max(Math.round(share * width), 1), height: Math.max(Math.round(share * height), 1) };
}

function pixelsOf(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  return { data, width, height };
}

/** A camera's pictures, one at a time. */
export class Camera {
  static async open(video) {
    const asked = { video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" }, audio: false };
    if (!navigator.mediaDevices) throw new Error("a camera needs https, or a server on this machine");
    const stream = await navigator.mediaDevices.getUserMedia(asked);
    video.srcObject = stream;
    await video.play();
    const contexts = [0, 1].map(() => new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }));
    return new Camera(video, stream, contexts);
  }

  constructor(video, stream, contexts) {
    Object.assign(this, { video, stream, contexts });
  }

  /** The picture of now; a canvas holds it until the next but one. */
  take() {
    this.contexts.reverse();
    const [context] = this.contexts, { canvas } = context, { videoWidth, videoHeight } = this.video;
    if (canvas.width !== videoWidth || canvas.height !== videoHeight) {
      [canvas.width, canvas.height] = [videoWidth, videoHeight];
    }
    context.drawImage(this.video, 0, 0);
    return { name: "camera", ...pixelsOf(context), source: canvas };
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }
}
