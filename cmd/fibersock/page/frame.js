// perFrame returns a function that asks for one call of draw in the next
// animation frame, however often it is called before. A hidden tab has no
// frames: there draw is called after hiddenDelay.

const hiddenDelay = 250; // milliseconds

export function perFrame(draw) {
  let frame = 0;
  let timer = 0;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = 0;
    draw();
  };
  return () => {
    if (frame !== 0) return;
    frame = requestAnimationFrame(run);
    timer = setTimeout(run, hiddenDelay);
  };
}
