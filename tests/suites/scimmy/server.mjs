// The server that scimmy-routers makes of the handlers that every user of it writes: here over two maps in memory.
//
//     node server.mjs TOKEN [--keep-query]
//
// Listens on a free port of loopback, prints it, and ends when its standard input does. With --keep-query a request's query
// is parsed once and stays as it is changed, as Express 4 has it. Express 5 parses it at each look, and the numbers that
// scimmy-routers makes of startIndex and count are lost.

import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [token, ...options] = process.argv.slice(2);

/** Handlers over one map. Names are unique, whatever their letter case (RFC 7643, sections 4.1.1 and 8.7.1). */
function handlers(name) {
  const all = new Map();
  const found = (id) => {
    const resource = all.get(id);
    if (!resource) throw new SCIMMY.Types.Error(404, null, `${id} is not here`);
    return resource;
  };
  return {
    egress: ({ id, filter }) => {
      if (id) return found(id);
      const list = [...all.values()];
      return filter ? filter.match(list) : list;
    },
    ingress: ({ id }, data) => {
      const before = id ? found(id) : undefined;
      const taken = (other) => other.id !== id && other[name].toLowerCase() === data[name].toLowerCase();
      if ([...all.values()].some(taken)) throw new SCIMMY.Types.Error(409, "uniqueness", `${name} is taken`);
      const now = new Date().toISOString();
      const meta = { created: before?.meta.created ?? now, lastModified: now };
      // As plain JSON, as a database would keep it.
      const stored = { ...JSON.parse(JSON.stringify(data)), id: id ?? randomUUID(), meta };
      all.set(stored.id, stored);
      return stored;
    },
    degress: ({ id }) => {
      found(id);
      all.delete(id);
    },
  };
}

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
SCIMMY.Resources.declare(SCIMMY.Resources.User, handlers("userName"));
SCIMMY.Resources.declare(SCIMMY.Resources.Group, handlers("displayName"));

const routers = new SCIMMYRouters({
  type: "bearer",
  handler: (request) => {
    if (request.header("authorization") !== `Bearer ${token}`) throw new Error("the token is wrong");
    return "tester";
  },
});
const app = express();
if (options.includes("--keep-query")) {
  app.use((request, _, next) => {
    Object.defineProperty(request, "query", { value: request.query });
    next();
  });
}
const server = app.use("/scim", routers).listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
