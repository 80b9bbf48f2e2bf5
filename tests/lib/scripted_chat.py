# SPDX-License-Identifier: MIT
"""The Chat Completions API, as the scripted model speaks it.

Thinking is reasoning_content, as DeepSeek has it; it has no signature.
Statuses and errors are OpenAI's. A quirk more than the checker's is
sends-usage: it comes with the finish reason, unasked.
"""

from check_chat import check
from scripted_answer import Answer, Said, check_bearer, objects, openai_error, own_texts, part_texts, refuse

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}


class ChatAnswer(Answer):
    api = "openai-chat"

    @staticmethod
    def check(request, _match, model):
        check_bearer(request)
        name = request.body.get("model") if isinstance(request.body, dict) else None
        refuse(check(request.body, model.quirks.get(name, ())))

    @staticmethod
    def conversation(body):
        said = []
        for message in objects(body.get("messages")):
            role, content = message.get("role"), message.get("content")
            if role == "tool":
                if not said or not said[-1].results:
                    said.append(Said("user"))
                said[-1].results.append("".join(part_texts(content)))
            elif role == "assistant":
                said.append(Said("model", part_texts(content)))
            elif role == "user":
                texts = own_texts(content)
                if texts or not (said and said[-1].results):  # else it is of the results
                    said.append(Said("user", texts))
        return said

    error_body = staticmethod(openai_error)

    @property
    def quirks(self):
        return self.model.quirks.get(self.request.body["model"], ())

    async def chunk(self, delta, finish=None, **more):
        await self.data({**self.head(), "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more})

    def head(self):
        return {"id": f"chatcmpl-{self.request.number:08d}", "object": "chat.completion.chunk", "created": 1,
                "model": self.request.body["model"]}

    async def start(self):
        if not self.message_sent:
            self.message_sent = True
            await self.chunk({"role": "assistant", "content": ""})

    async def open_block(self, kind):
        await self.start()
        self.block = kind

    async def close_block(self):
        self.block = None

    async def delta(self, kind, text):
        await self.chunk({"content" if kind == "text" else "reasoning_content": text})

    async def write_call(self, call_id, name, parts):
        number = f"call_{self.request.number:08d}_{self.index}"
        call = {"index": self.index, "id": number if call_id is None else call_id, "type": "function"}
        await self.chunk({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})
        for part in parts:
            await self.chunk({"tool_calls": [{"index": self.index, "function": {"arguments": part}}]})
        self.index += 1

    async def write_error(self, body):
        await self.data(body)

    def counts(self):
        whole, cached, output, thought = self.counted()
        return {"prompt_tokens": whole, "completion_tokens": output, "total_tokens": whole + output,
                "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": self.usage["cache_creation_input_tokens"]},
                "completion_tokens_details": {"reasoning_tokens": thought}}

    async def finish(self):
        await self.start()
        counts = {"usage": self.counts()} if "sends-usage" in self.quirks else {}
        await self.chunk({}, FINISH.get(self.stop_reason, self.stop_reason), **counts)
        if self.request.body.get("stream_options", {}).get("include_usage"):
            await self.data({**self.head(), "choices": [], "usage": self.counts()})
        await self.add(b"data: [DONE]\n\n")
        await self.end_body()
