// How fast something grows, by all samples of it and not by the first and the last.

/** The slope of the straight line that fits the points best (least squares): units of y per unit of x. NaN for fewer than two points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (pick: 0 | 1): number => points.reduce((sum, point) => sum + point[pick], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  let together = 0;
  let spread = 0;
  for (const [x, y] of points) {
    together += (x - meanX) * (y - meanY);
    spread += (x - meanX) ** 2;
  }
  return together / spread;
}
