// SPDX-License-Identifier: MIT
// Goal: the portable provider keeps the provider contract. Method: the shared provider suite.
import { nobleProvider } from "../../src/webpush/noble.ts";
import { describeProvider } from "./provider-suite.ts";

describeProvider(nobleProvider);
