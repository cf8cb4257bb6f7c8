// A picture in 256 colours, for a PNG that is a quarter as large: the palette by repeated halving where colours differ
// most, and a fine pattern that hides where one colour of the palette ends. Gives { width, height, palette, indices (base64) }.

async (url) => {
  const COLOURS_MAX = 256;
  const PATTERN = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];
  const PATTERN_DEPTH = 14;
  const NEAR_ENOUGH = 24; // no pattern on areas of one colour
  const CHANNELS = [0, 1, 2];

  async function pixelsOf() {
    const image = new Image();
    image.src = url;
    await image.decode();
    const { width, height } = image;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, width, height);
  }

  // Colours that are nearly the same together: { sums, count, weight, colour }. Large areas count more, but not in proportion.
  function heapsOf(data) {
    const heaps = new Map();
    for (let at = 0; at < data.length; at += 4) {
      const key = ((data[at] >> 2) << 12) | ((data[at + 1] >> 2) << 6) | (data[at + 2] >> 2);
      if (!heaps.has(key)) heaps.set(key, { sums: [0, 0, 0], count: 0 });
      const heap = heaps.get(key);
      heap.count += 1;
      for (const channel of CHANNELS) heap.sums[channel] += data[at + channel];
    }
    return [...heaps.values()].map(({ sums, count }) => ({ sums, count, weight: Math.sqrt(count), colour: sums.map((sum) => sum / count) }));
  }

  function boxOf(heaps) {
    const spreads = CHANNELS.map((channel) => {
      const mean = heaps.reduce((sum, heap) => sum + heap.weight * heap.colour[channel], 0) / heaps.reduce((sum, heap) => sum + heap.weight, 0);
      return heaps.reduce((sum, heap) => sum + heap.weight * (heap.colour[channel] - mean) ** 2, 0);
    });
    const spread = Math.max(...spreads);
    return { heaps, spread, channel: spreads.indexOf(spread) };
  }

  function halves({ heaps, channel }) {
    const sorted = heaps.sort((a, b) => a.colour[channel] - b.colour[channel]);
    const half = sorted.reduce((sum, heap) => sum + heap.weight, 0) / 2;
    let cut = 0;
    for (let sum = 0; cut < sorted.length - 1 && sum < half; cut += 1) sum += sorted[cut].weight;
    return [boxOf(sorted.slice(0, Math.max(1, cut))), boxOf(sorted.slice(Math.max(1, cut)))];
  }

  function paletteOf(heaps) {
    const boxes = [boxOf(heaps)];
    while (boxes.length < COLOURS_MAX && boxes[0].heaps.length > 1) {
      boxes.push(...halves(boxes.shift()));
      boxes.sort((a, b) => b.spread - a.spread);
    }
    return boxes.map((box) => {
      const count = box.heaps.reduce((sum, heap) => sum + heap.count, 0);
      return CHANNELS.map((channel) => Math.round(box.heaps.reduce((sum, heap) => sum + heap.sums[channel], 0) / count));
    });
  }

  function indicesOf({ data, width }, palette) {
    const known = new Map();
    // The palette's nearest colour, and how far off it is.
    const nearest = (colour) => {
      const key = (colour[0] << 16) | (colour[1] << 8) | colour[2];
      if (!known.has(key)) {
        const distances = palette.map(([r, g, b]) => 2 * (r - colour[0]) ** 2 + 4 * (g - colour[1]) ** 2 + 3 * (b - colour[2]) ** 2);
        const distance = Math.min(...distances);
        known.set(key, { distance, index: distances.indexOf(distance) });
      }
      return known.get(key);
    };
    return Uint8Array.from({ length: data.length / 4 }, (_, pixel) => {
      const colour = CHANNELS.map((channel) => data[4 * pixel + channel]);
      const plain = nearest(colour);
      if (plain.distance <= NEAR_ENOUGH) return plain.index;
      const place = ((pixel % width) % 4) + 4 * (Math.floor(pixel / width) % 4);
      const shift = ((PATTERN[place] + 0.5) / 16 - 0.5) * PATTERN_DEPTH;
      return nearest(colour.map((value) => Math.max(0, Math.min(254, 2 * Math.round((value + shift) / 2))))).index;
    });
  }

  const pixels = await pixelsOf();
  const palette = paletteOf(heapsOf(pixels.data));
  const indices = indicesOf(pixels, palette);
  let text = "";
  for (let at = 0; at < indices.length; at += 8_192) text += String.fromCharCode(...indices.subarray(at, at + 8_192));
  return { width: pixels.width, height: pixels.height, palette: palette.flat(), indices: btoa(text) };
}
