// SPDX-License-Identifier: MIT
/** The script of libgodwit: a user agent whose apps, screens and people are the program it is linked into. */

import "./globals.ts";
import type { EmbeddingBridge } from "./embedding-bridge.d.ts";
import { bridge } from "./lent-bridge.ts";
import { startEmbedding } from "./start-embedding.ts";

bridge.listen(startEmbedding(bridge as EmbeddingBridge));
