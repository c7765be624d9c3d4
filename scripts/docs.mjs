// SPDX-License-Identifier: MIT
/** `npm run docs`: writes the state diagrams into ARCHITECTURE.md, from the tables in the built code. */

import { readFileSync, writeFileSync } from "node:fs";
import { LINK_TRANSITIONS } from "../dist/agent.js";
import { SESSION_PHASES } from "../dist/push-service.js";
import { mermaid, replaceBetween } from "./mermaid.mjs";

const path = new URL("../ARCHITECTURE.md", import.meta.url);
let document = readFileSync(path, "utf8");
document = replaceBetween(document, "link states", mermaid(LINK_TRANSITIONS, "idle"));
document = replaceBetween(document, "session phases", mermaid(SESSION_PHASES, "opening"));
writeFileSync(path, document);
