// SPDX-License-Identifier: MIT
// An app of `godwit/apps/process` that subscribes with the key in its first argument and says on stdout, a JSON line each, what comes.

import { connect } from "../../dist/apps-process.js";

const [, , applicationServerKey] = process.argv;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const app = connect();
app.onpush = ({ data, redelivered }) => say({ event: "push", text: data?.text() ?? null, redelivered });
app.onpushsubscriptionchange = () => say({ event: "change" });
const subscription = await app.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
say({ event: "subscribed", subscription });
