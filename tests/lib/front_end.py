# SPDX-License-Identifier: MIT
"""A front end of agent-runtime, as far as HTTP goes: it sends its key and the type JSON with every request."""

from stack import Response


class FrontEnd:
    """Requests of one user. auth: the header's value, by default the user's token, as a front end sends its key."""

    def __init__(self, stack, user=None, auth=...):
        self.stack = stack
        self.user = user or stack.user()
        self.auth = f"Bearer {self.user.token}" if auth is ... else auth

    def http(self, method, path, json=None, **options) -> Response:
        headers = {"Content-Type": "application/json", "Authorization": self.auth, **options.pop("headers", {})}
        return self.stack.http(method, path, json=json, headers=headers, **options)

    def get(self, path, **options):
        return self.http("GET", path, **options)

    def post(self, path, json=None, **options):
        return self.http("POST", path, json, **options)

    def patch(self, path, json=None, **options):
        return self.http("PATCH", path, json, **options)

    def delete(self, path, **options):
        return self.http("DELETE", path, **options)

    def session(self, architecture="claude-agent-sdk", profile="default", **more):
        """A new session's id."""
        made = self.post("/api/sessions", {"agentProfileRef": profile, "architecture": architecture, **more})
        assert made.status == 201, made
        return made.json["sessionId"]

    def sessions(self):
        got = self.get("/api/sessions")
        assert got.status == 200, got
        return got.json["sessions"]

    def item(self, session):
        """A session as the list has it, or None."""
        return next((s for s in self.sessions() if s["sessionId"] == session), None)

    def say(self, session, content):
        got = self.post(f"/api/sessions/{session}/messages", {"content": content})
        assert (got.status, got.json) == (200, {"success": True, "sessionId": session}), got
