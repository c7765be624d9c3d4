// SPDX-License-Identifier: MIT
// Goal: the portable provider keeps the provider contract. Method: the shared provider suite.
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { describeProvider } from "./provider-suite.ts";

describeProvider(nobleSigningProvider);
