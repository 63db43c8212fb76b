// Shows the OpenAPI document that stands in the page.

const spec = JSON.parse(document.getElementById("document").textContent);
const main = document.getElementById("docs");

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// `code` in a text becomes code.
function prose(text) {
  const parts = text.split("`");
  return parts.map((part, index) => (index % 2 ? element("code", "", part) : part));
}

function table(heads, rows) {
  const head = element("tr", "", ...heads.map((text) => element("th", "", text)));
  const body = rows.map((cells) => element("tr", "", ...cells.map((cell) => element("td", "", ...[].concat(cell)))));
  return element("div", "scroll", element("table", "", element("thead", "", head), element("tbody", "", ...body)));
}

const resolve = (schema) => (schema?.$ref ? spec.components.schemas[schema.$ref.split("/").pop()] : schema);

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(typeOf).filter((type) => type !== "null").join(" or ");
  if (schema.enum) return "one of: " + schema.enum.join(", ");
  const types = [].concat(schema.type ?? "object").filter((type) => type !== "null");
  return types.includes("array") ? `list of ${typeOf(schema.items)}` : types.join(" or ");
}

function fields(schema) {
  const object = resolve(schema);
  const properties = Object.entries(object?.properties ?? {});
  if (!properties.length) return null;
  const required = new Set(object.required ?? []);
  return table(["field", "type", ""], properties.map(([name, property]) => [
    [element("code", "", name), required.has(name) ? "" : " ?"],
    typeOf(property),
    prose(property.description ?? resolve(property)?.description ?? ""),
  ]));
}

function operation(path, verb, said) {
  const [title, ...rest] = (said.summary ?? said.description ?? "").split("\n\n");
  const summary = element("summary", "",
    element("span", "mono verb", verb.toUpperCase()),
    element("span", "mono", path),
    element("span", "says", ...prose(title)));
  const body = element("div", "body", ...rest.map((text) => element("p", "", ...prose(text))));
  if (said.parameters?.length) {
    body.append(element("h3", "", "Parameters"), table(["name", "in", ""],
      said.parameters.map((one) => [element("code", "", one.name), one.in, prose(one.description ?? "")])));
  }
  const request = Object.values(said.requestBody?.content ?? {})[0]?.schema;
  if (request && fields(request)) body.append(element("h3", "", "Body"), fields(request));
  body.append(element("h3", "", "Answers"), table(["status", "body", ""],
    Object.entries(said.responses ?? {}).map(([status, response]) => [
      element("code", "", status),
      typeOf(Object.values(response.content ?? {})[0]?.schema),
      prose(response.description ?? ""),
    ])));
  return element("details", "operation", summary, body);
}

function description(text) {
  const blocks = text.split("\n\n");
  return blocks.map((block) => {
    if (!block.startsWith("|")) return element("p", "", ...prose(block));
    const cells = (line) => line.split("|").slice(1, -1).map((cell) => prose(cell.trim()));
    const [head, , ...rows] = block.trim().split("\n");
    return table(cells(head).map((cell) => cell[0]), rows.map(cells));
  });
}

main.append(element("h1", "", spec.info.title), ...description(spec.info.description ?? ""));
const tags = new Map((spec.tags ?? []).map((tag) => [tag.name, []]));
for (const [path, verbs] of Object.entries(spec.paths)) {
  for (const [verb, said] of Object.entries(verbs)) {
    const tag = said.tags?.[0] ?? "other";
    tags.set(tag, [...(tags.get(tag) ?? []), operation(path, verb, said)]);
  }
}
for (const [tag, operations] of [...tags].filter(([, found]) => found.length)) main.append(element("h2", "", tag), ...operations);
main.append(element("h2", "", "shapes"));
for (const [name, schema] of Object.entries(spec.components.schemas)) {
  const shown = fields(schema);
  if (shown) main.append(element("details", "operation", element("summary", "", element("span", "mono", name)), element("div", "body", shown)));
}
