# SPDX-License-Identifier: MIT
"""OpenAI's Responses API, as the scripted model speaks it.

Thinking is the summary of a reasoning item, its signature the encrypted
content, which comes only to who asks for it.
"""

from check_responses import check
from scripted_answer import Answer, Said, check_bearer, is_object, need, objects, openai_error, own_texts, part_texts, refuse

INCOMPLETE = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}

# Of an item with a text: its type and place, the name of the part and of its
# deltas, and the part.
KINDS = {
    "text": ("message", "content", "content_part", "output_text",
             lambda text: {"type": "output_text", "text": text, "annotations": []}),
    "thinking": ("reasoning", "summary", "reasoning_summary_part", "reasoning_summary_text",
                 lambda text: {"type": "summary_text", "text": text}),
}


class ResponsesAnswer(Answer):
    api = "openai-responses"
    history = "input"

    def __init__(self, *args):
        super().__init__(*args)
        self.output = []  # items that are done
        self.item = None  # the one that is open
        self.text = ""
        self.sequence = 0

    @staticmethod
    def check(request, _match, model):
        check_bearer(request)
        refuse(check(request.body))
        ids = {item.get("id") for item in objects(request.body["input"])}
        for one in sorted(ids & set(model.reasoned)):
            need(model.reasoned[one] in ids, f"Item '{one}' was provided without its required 'reasoning' item: '{model.reasoned[one]}'.")

    @staticmethod
    def conversation(body):
        """Items of the model's in a row are one answer."""
        said = []
        items = body.get("input")
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else objects(items):
            if item.get("type") == "function_call_output":
                if not said or not said[-1].results:
                    said.append(Said("user"))
                said[-1].results.append("".join(part_texts(item.get("output"))))
            elif item.get("role") == "user":
                said.append(Said("user", own_texts(item.get("content"))))
            else:
                if not said or said[-1].role != "model":
                    said.append(Said("model"))
                said[-1].texts += part_texts(item.get("content"))
        return said

    error_body = staticmethod(openai_error)

    async def event(self, kind, **members):
        await self.data({"type": f"response.{kind}", "sequence_number": self.sequence, **members}, f"event: response.{kind}\n")
        self.sequence += 1

    def response(self, status, **members):
        return {"id": f"resp_{self.request.number:08d}", "object": "response", "created_at": 1, "status": status, "error": None,
                "incomplete_details": None, "model": self.request.body["model"], "output": self.output, "store": False,
                "usage": None, **members}

    async def start(self):
        if not self.message_sent:
            self.message_sent = True
            await self.event("created", response=self.response("in_progress"))
            await self.event("in_progress", response=self.response("in_progress"))

    # -- items

    def place(self, name=None):
        where = {"item_id": self.item["id"], "output_index": len(self.output)}
        return where if name is None else {**where, f"{name}_index": 0}

    async def open_item(self, kind, prefix, **members):
        await self.close_block()
        await self.start()
        self.item = {"id": f"{prefix}_{self.request.number:08d}_{len(self.output)}", "type": kind, "status": "in_progress", **members}
        if kind == "reasoning":
            del self.item["status"]  # its have none
        await self.event("output_item.added", output_index=len(self.output), item=self.item)

    async def close_item(self, **members):
        self.item = {**self.item, **members}
        await self.event("output_item.done", output_index=len(self.output), item=self.item)
        if self.output and self.output[-1]["type"] == "reasoning" != self.item["type"]:
            self.model.reasoned[self.item["id"]] = self.output[-1]["id"]
        self.output.append(self.item)
        self.item = None

    async def open_block(self, kind):
        if self.block == kind:
            return
        if kind == "text":
            await self.open_item("message", "msg", role="assistant", content=[])
        else:
            await self.open_item("reasoning", "rs", summary=[])
        self.block, self.text = kind, ""
        _, member, part, _, make = KINDS[kind]
        await self.event(f"{part}.added", **self.place(member), part=make(""))

    async def delta(self, kind, text):
        _, member, _, name, _ = KINDS[kind]
        self.text += text
        await self.event(f"{name}.delta", **self.place(member), delta=text)

    async def sign(self, signature):
        if "reasoning.encrypted_content" in self.request.body.get("include", []):
            self.item["encrypted_content"] = signature

    async def close_block(self):
        if self.block is None:
            return
        kind, self.block = self.block, None
        _, member, part, name, make = KINDS[kind]
        await self.event(f"{name}.done", **self.place(member), text=self.text)
        await self.event(f"{part}.done", **self.place(member), part=make(self.text))
        await self.close_item(**{member: [make(self.text)]}, **({"status": "completed"} if kind == "text" else {}))

    async def write_call(self, call_id, name, parts):
        number = f"call_{self.request.number:08d}_{len(self.output)}"
        await self.open_item("function_call", "fc", call_id=number if call_id is None else call_id, name=name, arguments="")
        for part in parts:
            await self.event("function_call_arguments.delta", **self.place(), delta=part)
        raw = "".join(parts)
        whole = is_object(raw or "{}")
        if whole:
            await self.event("function_call_arguments.done", **self.place(), arguments=raw)
        await self.close_item(arguments=raw, status="completed" if whole else "incomplete")

    # -- the end

    async def write_error(self, body):
        await self.data({"type": "error", "sequence_number": self.sequence, **body}, "event: error\n")
        error = {"code": body["error"]["code"] or body["error"]["type"], "message": body["error"]["message"]}
        await self.event("failed", response=self.response("failed", error=error))

    async def finish(self):
        await self.start()
        await self.close_block()
        whole, cached, output, thought = self.counted()
        usage = {"input_tokens": whole, "output_tokens": output, "total_tokens": whole + output,
                 "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": self.usage["cache_creation_input_tokens"]},
                 "output_tokens_details": {"reasoning_tokens": thought}}
        reason = INCOMPLETE.get(self.stop_reason)
        if reason is None:
            await self.event("completed", response=self.response("completed", usage=usage))
        else:
            await self.event("incomplete", response=self.response("incomplete", usage=usage, incomplete_details={"reason": reason}))
        await self.end_body()
