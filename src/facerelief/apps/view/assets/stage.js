// The stage: panes side by side in one canvas, drawn when something has changed.

const BACKDROP = [0.078, 0.086, 0.098]; // of page.css

/** Rectangles (shares of the stage) for `count` panes, about as wide as high. */
function panesFor(count, width, height) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const side = Math.min(width / columns, height / rows);
    if (!best || side > best.side) best = { side, columns, rows };
  }
  return Array.from({ length: count }, (_, index) => ({
    left: (index % best.columns) / best.columns,
    top: Math.floor(index / best.columns) / best.rows,
    width: 1 / best.columns,
    height: 1 / best.rows,
  }));
}

class Stage {
  constructor(canvas, overlay, shaders, scale) {
    this.canvas = canvas;
    this.overlay = overlay;
    this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, preserveDrawingBuffer: false });
    if (!this.gl) throw new Error("this browser has no WebGL 2");
    this.pictures = new PictureView(this.gl, shaders, scale);
    this.solids = new SolidView(this.gl, shaders);
    this.panes = [];
    this.frames = 0;
    this.waiting = false;
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  /** Draws before the next frame is shown, once however often it is asked. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /** Shows `panes`, {label, picture} or {label, solid} or {label} each, as `state` says. */
  set(panes, state) {
    this.panes = panes;
    this.state = state;
    this.overlay.replaceChildren(...panes.map((pane) => paneLabel(pane)));
    this.redraw();
  }

  draw() {
    const { canvas, gl, panes, state } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!state || !width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    gl.enable(gl.SCISSOR_TEST);
    const places = panesFor(panes.length, width, height);
    panes.forEach((pane, index) => this.#drawPane(pane, places[index], index));
    this.frames += 1;
  }

  #drawPane(pane, place, index) {
    const { canvas, gl, state } = this;
    const x = Math.round(place.left * canvas.width), right = Math.round((place.left + place.width) * canvas.width);
    const top = Math.round(place.top * canvas.height), bottom = Math.round((place.top + place.height) * canvas.height);
    const [width, height] = [right - x, bottom - top], y = canvas.height - bottom;
    const label = this.overlay.children[index];
    for (const side of ["left", "top", "width", "height"]) label.style[side] = `${100 * place[side]}%`;
    gl.viewport(x, y, width, height);
    gl.scissor(x, y, width, height);
    gl.clearColor(...BACKDROP, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    let inner = [1, 1];
    if (pane.picture) {
      inner = PictureView.fit(pane.picture.aspect, width, height);
      this.pictures.show(pane.picture, state, width, height, BACKDROP);
    } else if (pane.solid) {
      this.#drawSolid(pane.solid, x, y, width, height);
    }
    const line = label.querySelector(".split");
    line.style.left = `${50 + 100 * inner[0] * (state.split - 0.5)}%`;
    line.hidden = !pane.picture?.photo && !(pane.solid && showsSplit(pane.solid, state));
  }

  #drawSolid(solid, x, y, width, height) {
    const gl = this.gl, state = this.state;
    if (!showsSplit(solid, state) || state.split <= 0) {
      this.solids.show(solid, state, state.detail, width, height);
      return;
    }
    const middle = Math.round(width * state.split);
    gl.scissor(x, y, middle, height);
    this.solids.show(solid, state, false, width, height);
    gl.scissor(x + middle, y, width - middle, height);
    this.solids.show(solid, state, true, width, height);
  }
}

/** Whether a mesh has a side without detail and one with it. */
function showsSplit(solid, state) {
  return Boolean(solid.bumps) && state.detail && state.layer !== "wire";
}

/** What lies over a pane: its name, and the line of the slider with a grip. */
function paneLabel(pane) {
  const element = document.createElement("div");
  element.className = "pane";
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = pane.label;
  const line = document.createElement("div");
  line.className = "split";
  line.append(document.createElement("i"));
  element.append(name, line);
  if (pane.missing) {
    const text = document.createElement("p");
    text.textContent = pane.missing;
    element.append(text);
  }
  return element;
}
