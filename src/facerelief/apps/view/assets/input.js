// Pointer, touch, wheel and keyboard on the stage. All of them end in `change` of a few values.

/**
 * Lets people drag on `stage`. `state` is read; `change(values)` is told what should become of it,
 * as {light}, {view} or {split}.
 */
function listen(stage, state, change) {
  const surface = stage.overlay;
  const pointers = new Map();
  let grip = false, spread = 0;

  const turnsMesh = () => stage.panes.some((pane) => pane.solid) && state.drag === "mesh";
  const setLight = (values) => change({ light: { ...state.light, ...values } });
  const setView = (values) => change({ view: { ...state.view, ...values } });
  const zoomBy = (factor) => setView({ zoom: clamp(state.view.zoom * factor, ...LIMITS.zoom) });

  /** The pane under a pointer, and where in it: -1 to 1 over its shorter side, y up. */
  function within(event) {
    const pane = [...surface.children].find((one) => {
      const box = one.getBoundingClientRect();
      return event.clientX < box.right && event.clientY < box.bottom;
    }) ?? surface.children[0];
    const box = pane.getBoundingClientRect(), half = Math.min(box.width, box.height) / 2;
    const x = event.clientX - box.left, y = event.clientY - box.top;
    return { x: (x - box.width / 2) / half, y: (box.height / 2 - y) / half, across: x / box.width, pane };
  }

  function apart() {
    const [first, second] = [...pointers.values()];
    return Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY);
  }

  function moveSplit(event) {
    const { across, pane } = within(event);
    const loaded = stage.panes[[...surface.children].indexOf(pane)];
    const box = pane.getBoundingClientRect();
    const share = loaded.picture ? PictureView.fit(loaded.picture.aspect, box.width, box.height)[0] : 1;
    change({ split: clamp(0.5 + (across - 0.5) / share, 0, 1) });
  }

  surface.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    surface.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) spread = apart();
    grip = pointers.size === 1 && Boolean(event.target.closest(".split"));
    if (!grip && pointers.size === 1 && !turnsMesh()) {
      const { x, y } = within(event);
      setLight(lightAt(x, y));
    }
    stage.canvas.focus({ preventScroll: true });
  });

  surface.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const now = apart();
      zoomBy(now / spread);
      spread = now;
    } else if (grip) {
      moveSplit(event);
    } else if (turnsMesh()) {
      setView({
        yaw: state.view.yaw + 0.4 * (event.clientX - before.clientX),
        pitch: clamp(state.view.pitch + 0.4 * (event.clientY - before.clientY), ...LIMITS.pitch),
      });
    } else {
      const { x, y } = within(event);
      setLight(lightAt(x, y));
    }
  });

  for (const name of ["pointerup", "pointercancel"]) {
    surface.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      grip = grip && pointers.size > 0;
    });
  }

  surface.addEventListener("wheel", (event) => {
    if (!stage.panes.some((pane) => pane.solid)) return;
    event.preventDefault();
    zoomBy(Math.exp(-0.0015 * event.deltaY));
  }, { passive: false });

  stage.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 15 : 5;
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const by = steps[event.key];
    if (by && turnsMesh()) {
      setView({
        yaw: state.view.yaw - by[0] * step,
        pitch: clamp(state.view.pitch - by[1] * step, ...LIMITS.pitch),
      });
    } else if (by) {
      setLight({
        azimuth: clamp(state.light.azimuth + by[0] * step, ...LIMITS.azimuth),
        elevation: clamp(state.light.elevation + by[1] * step, ...LIMITS.elevation),
      });
    } else if (event.key === "+" || event.key === "=") zoomBy(1.15);
    else if (event.key === "-") zoomBy(1 / 1.15);
    else if (event.key === "[") change({ split: clamp(state.split - 0.05, 0, 1) });
    else if (event.key === "]") change({ split: clamp(state.split + 0.05, 0, 1) });
    else return;
    event.preventDefault();
  });
}
