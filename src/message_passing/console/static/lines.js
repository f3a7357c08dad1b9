// A stream of JSON lines, read as it arrives.

/** Pass every line of a response's body to `take(value, length)`; ends when the stream does. Bad lines are left out. */
export async function readLines(body, take) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let parts = []; // of a line that has not ended: joined once, however many pieces a long one comes in
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const pieces = decoder.decode(value, { stream: true }).split("\n");
    for (let i = 0; i < pieces.length - 1; i += 1) {
      const line = parts.length ? parts.join("") + pieces[i] : pieces[i];
      parts = [];
      if (line) one(line, take);
    }
    if (pieces[pieces.length - 1]) parts.push(pieces[pieces.length - 1]);
  }
}

function one(line, take) {
  let value;
  try {
    value = JSON.parse(line);
  } catch {
    return;
  }
  take(value, line.length);
}
