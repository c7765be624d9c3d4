// SPDX-License-Identifier: MIT
// Goal: the portable provider meets every vector. Method: the shared vector suite; test/node/crypto.test.ts runs the same
// suite on the native provider.
import { nobleProvider } from "../../src/webpush/noble.ts";
import { describeVectors } from "./vector-suite.ts";

describeVectors(nobleProvider);
