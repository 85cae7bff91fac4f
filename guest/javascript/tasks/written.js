// Times, as FastAPI writes them.

/** Microseconds since 1970, with `Z`, and with six digits of fraction or none. */
export function written(micros) {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const second = new Date(Number((micros - fraction) / 1000n)).toISOString().slice(0, 19);
  return fraction === 0n ? `${second}Z` : `${second}.${String(fraction).padStart(6, '0')}Z`;
}
