// Strokes that all painters share. `c` is a 2D context throughout.

export const TAU = Math.PI * 2;

export function rect(c, fill, x, y, width, height) {
  c.fillStyle = fill;
  c.fillRect(x, y, width, height);
}

export function disc(c, fill, x, y, radius) {
  ellipse(c, fill, x, y, radius, radius);
}

export function ellipse(c, fill, x, y, radiusX, radiusY, from = 0, to = TAU) {
  c.fillStyle = fill;
  c.beginPath();
  c.ellipse(x, y, radiusX, radiusY, 0, from, to);
  c.fill();
}

/** A filled outline through `points`: x, y, x, y, ... */
export function shape(c, fill, ...points) {
  c.fillStyle = fill;
  trace(c, points);
  c.closePath();
  c.fill();
}

/** A stroke with round ends through `points`: x, y, x, y, ... */
export function stroke(c, color, width, ...points) {
  c.strokeStyle = color;
  c.lineWidth = width;
  c.lineCap = c.lineJoin = "round";
  trace(c, points);
  c.stroke();
}

function trace(c, points) {
  c.beginPath();
  for (let at = 0; at < points.length; at += 2) c.lineTo(points[at], points[at + 1]);
}

/** The outline of a window with a round top; `y` is its lower edge. */
export function arch(c, x, y, width, height) {
  const radius = width / 2;
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(x, y - height + radius);
  c.arc(x + radius, y - height + radius, radius, Math.PI, 0);
  c.lineTo(x + width, y);
  c.closePath();
}

/** A gradient along a line; the colours are spread evenly. */
export function along(c, x0, y0, x1, y1, ...colors) {
  const gradient = c.createLinearGradient(x0, y0, x1, y1);
  colors.forEach((color, at) => gradient.addColorStop(colors.length < 2 ? 0 : at / (colors.length - 1), color));
  return gradient;
}

/** Light around a point, to nothing at `radius`; `rgb` as "255 200 90". */
export function glow(c, x, y, radius, rgb, alpha) {
  const gradient = c.createRadialGradient(x, y, 0, x, y, radius);
  gradient.addColorStop(0, `rgb(${rgb} / ${alpha})`);
  gradient.addColorStop(0.4, `rgb(${rgb} / ${alpha * 0.4})`);
  gradient.addColorStop(1, `rgb(${rgb} / 0)`);
  c.fillStyle = gradient;
  c.fillRect(x - radius, y - radius, radius * 2, radius * 2);
}

/** `color` ("#rrggbb") mixed with black (amount < 0) or white (amount > 0). */
export function tone(color, amount) {
  const target = amount < 0 ? 0 : 255;
  const part = Math.abs(amount);
  const channel = (at) => Math.round(Number.parseInt(color.slice(at, at + 2), 16) * (1 - part) + target * part);
  return `#${[1, 3, 5].map((at) => channel(at).toString(16).padStart(2, "0")).join("")}`;
}

/** Runs `paint` with the context's state put back after it. */
export function within(c, paint) {
  c.save();
  paint();
  c.restore();
}

/** A body that is round: light along its left third. */
export function rounded(c, color, x, width) {
  return along(c, x - width / 2, 0, x + width / 2, 0, tone(color, -0.35), tone(color, 0.25), color, tone(color, -0.5));
}
