// Reading a CSV as spreadsheets write them, and which names in it mean which images: as coterie/tables.py and naming.py.

// A spreadsheet's text is in UTF-8 or, as its byte order mark says, in UTF-16.
async function textOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const wide = { "255,254": "utf-16le", "254,255": "utf-16be" }[bytes.slice(0, 2).join()];
  return new TextDecoder(wide ?? "utf-8").decode(bytes);
}

// Rows that hold something, parted as a first line `sep=;` says, or by what makes these columns of the heading, which
// comes back in small letters.
function rowsOf(text, columns) {
  const said = /^"?sep=([^"\r\n])"?[ ,;\t]*[\r\n]/i.exec(text);
  for (const comma of said ? [said[1]] : [",", ";", "\t"]) {
    const [first, ...rows] = cellsOf(said ? text.slice(said[0].length) : text, comma);
    const heading = (first ?? []).map((cell) => tidy(cell).toLowerCase());
    if (columns.every((name) => heading.includes(name))) return { heading, rows };
  }
  throw new Error(`it has no columns ${columns.join(" and ")}`);
}

// Rows of cells (RFC 4180).
function cellsOf(text, comma) {
  const rows = [[""]];
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const row = rows[rows.length - 1];
    const letter = text[at];
    if (inside && letter === '"' && text[at + 1] === '"') row[row.length - 1] += text[at++];
    else if (letter === '"' && (inside || row[row.length - 1] === "")) inside = !inside;
    else if (inside) row[row.length - 1] += letter;
    else if (letter === comma) row.push("");
    else if (letter === "\n" || (letter === "\r" && text[at + 1] !== "\n")) rows.push([""]);
    else if (letter !== "\r") row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.some((cell) => cell.trim()));
}

const asSeen = (name) => tidy(name).replaceAll("\\", "/").replace(/^\.\//, "");
function folded(name) {
  const text = asSeen(name).normalize("NFKC").toLowerCase();
  return /^0*(\d+)(?:[.,]0+)?$/.exec(text)?.[1] ?? text;
}

// Which of the `known` names each given one means: the same, else the only one that looks the same, else the only one
// that differs in capitals or zeros.
function matched(given, known) {
  const found = new Map();
  const only = (form, names) => {
    const forms = new Map();
    for (const name of names) forms.set(form(name), forms.has(form(name)) ? null : name);
    return forms;
  };
  let [left, free] = [[...new Set(given)], [...known]];
  for (const form of [String, asSeen, folded]) {
    const meant = only(form, free);
    for (const [spelt, name] of only(form, left)) if (name !== null && meant.get(spelt)) found.set(name, meant.get(spelt));
    const taken = new Set(found.values());
    left = left.filter((name) => !found.has(name));
    free = left.length ? free.filter((name) => !taken.has(name)) : [];
  }
  return found;
}
