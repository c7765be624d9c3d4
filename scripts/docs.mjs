// SPDX-License-Identifier: MIT
/** `npm run docs`: prints the state diagrams of ARCHITECTURE.md from the tables in the built code. */

import { readFileSync, writeFileSync } from "node:fs";
import { LINK_TRANSITIONS } from "../dist/agent.js";
import { mermaid, replaceBetween } from "./mermaid.mjs";

const path = new URL("../ARCHITECTURE.md", import.meta.url);
const document = readFileSync(path, "utf8");
writeFileSync(path, replaceBetween(document, "link states", mermaid(LINK_TRANSITIONS, "idle")));
