# SPDX-License-Identifier: MIT
"""Gemini's streamGenerateContent, as the scripted model speaks it.

The model is of the third generation unless its id says otherwise: calls have
an id of Gemini's, and the first of an answer a signature. The signature of
what was thought is that of the part behind it: of the first call, or of an
empty text at the end. A call comes whole; one whose arguments are no object is
not sent, and the answer is a malformed one.
"""

import json

from check_gemini import check, is_old
from scripted_answer import Answer, Said, is_object, need, objects, own_texts, refuse

FINISH = {"end_turn": "STOP", "tool_use": "STOP", "max_tokens": "MAX_TOKENS", "refusal": "SAFETY"}
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
          503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 529: "UNAVAILABLE"}


class GeminiAnswer(Answer):
    api = "gemini"
    history = "contents"
    id_header = "x-scripted-id"  # it has none
    signature = None  # of what comes next
    calls = 0

    @staticmethod
    def check(request, match, _model):
        need(request.headers.get("x-goog-api-key"), "API key not valid. Please pass a valid API key.", 400)
        refuse(check(request.body, match[1]))

    @staticmethod
    def conversation(body):
        said = []
        for content in objects(body.get("contents")):
            parts = objects(content.get("parts"))
            texts = own_texts([p for p in parts if not p.get("thought")])
            if content.get("role") == "model":
                said.append(Said("model", texts))
                continue
            responses = [p["functionResponse"].get("response") for p in parts if isinstance(p.get("functionResponse"), dict)]
            if responses:
                said.append(Said("user", [], ["".join(map(str, r.values())) if isinstance(r, dict) else "" for r in responses]))
            if texts or not responses:
                said.append(Said("user", texts))
        return said

    @staticmethod
    def error_body(status, text):
        word = STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        return {"error": {"code": status, "message": text, "status": word}}

    @property
    def model_id(self):
        return self.request.path.partition("/models/")[2].partition(":")[0]

    async def part(self, part, **more):
        whole, cached, output, thought = self.counted()
        usage = {"promptTokenCount": whole, "candidatesTokenCount": output - thought, "totalTokenCount": whole + output}
        for name, count in (("cachedContentTokenCount", cached), ("thoughtsTokenCount", thought)):
            if count:
                usage[name] = count
        await self.data({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0, **more}],
                         "usageMetadata": usage, "modelVersion": self.model_id, "responseId": f"resp_{self.request.number:08d}"},
                        end="\r\n\r\n")

    async def start(self):
        """Its first event is the first part."""

    async def open_block(self, kind):
        self.block = kind

    async def close_block(self):
        self.block = None

    async def delta(self, kind, text):
        await self.part({"text": text, **({"thought": True} if kind == "thinking" else {})})

    async def sign(self, signature):
        self.signature = signature

    async def write_call(self, call_id, name, parts):
        raw = "".join(parts) or "{}"
        if not is_object(raw):
            self.stop_reason = "MALFORMED_FUNCTION_CALL"
            return
        call, part = {"name": name, "args": json.loads(raw)}, {}
        if not is_old(self.model_id):
            number = f"fc{self.request.number % 10000:04d}{self.calls:02d}"
            call["id"] = number if call_id is None else call_id
            if self.calls == 0:
                self.signature = self.signature or f"sig-{self.request.number:08d}"
        if self.signature:
            part["thoughtSignature"], self.signature = self.signature, None
        await self.part({"functionCall": call, **part})
        self.calls += 1

    async def write_error(self, body):
        """As it was recorded: no event at all."""
        await self.add(json.dumps(body, indent=2).encode())

    async def finish(self):
        signed = {"thoughtSignature": self.signature} if self.signature else {}
        await self.part({"text": "", **signed}, finishReason=FINISH.get(self.stop_reason, self.stop_reason))
        await self.end_body()
