// SPDX-License-Identifier: MIT
// An app of `godwit/apps/process` as the agent starts it: nothing but its environment says where the agent is. Shows each message.

import { connect } from "../../../dist/apps-process.js";

const app = connect();
app.onpush = (event) => event.showNotification(`${app.owner}: ${event.data?.text()}`);
app.onnotificationclick = ({ action }) => app.showNotification(`clicked ${action || "the body"}`);
