/* SPDX-License-Identifier: MIT */
#ifndef MODEL_API_H
#define MODEL_API_H

/* The APIs of models, and what providers do otherwise. */

enum model_api {
	MODEL_API_ANTHROPIC, /* Messages */
	MODEL_API_CHAT,      /* OpenAI's Chat Completions and its dialects */
	MODEL_API_RESPONSES, /* OpenAI's Responses */
	MODEL_API_GEMINI,    /* generateContent */
	MODEL_APIS
};

/* What a provider does otherwise than its API says. */
enum model_quirk {
	MODEL_QUIRK_THINK_TAGS = 1 << 0, /* <think>...</think> in the text */

	/* Of requests of the Chat API. */
	MODEL_QUIRK_MAX_TOKENS = 1 << 1,        /* not max_completion_tokens */
	MODEL_QUIRK_NO_STREAM_OPTIONS = 1 << 2, /* usage comes unasked */
	MODEL_QUIRK_OBFUSCATION = 1 << 3, /* is there, and can be left out */
	MODEL_QUIRK_ECHO_CALLS = 1 << 4,  /* wants the reasoning of turns
					     with tool calls back, always */
	MODEL_QUIRK_ECHO_ROUND = 1 << 5,  /* ... until the user speaks */
	MODEL_QUIRK_REASONING = 1 << 6,   /* the member is reasoning, not
					     reasoning_content */
	MODEL_QUIRK_REASONING_OBJECT = 1 << 7,   /* reasoning: {max_tokens,
						    effort} asks for it */
	MODEL_QUIRK_ENABLE_THINKING = 1 << 8,    /* enable_thinking and
						    thinking_budget do */
	MODEL_QUIRK_THINKING_TYPE = 1 << 9,      /* thinking: {type} does */
	MODEL_QUIRK_TEMPLATE_THINKING = 1 << 10, /* chat_template_kwargs do */
	MODEL_QUIRK_FREE_CHOICE = 1 << 11, /* no forced tool while it thinks */
	MODEL_QUIRK_NO_SCHEMA = 1 << 12,   /* JSON, but by no schema */
	MODEL_QUIRK_NO_IMAGES = 1 << 13,   /* takes none */
	MODEL_QUIRK_NO_FILES = 1 << 14,    /* takes no PDFs */
	MODEL_QUIRK_SHORT_IDS = 1 << 15,   /* of calls: [a-zA-Z0-9], 9 */
	MODEL_QUIRK_ANSWER_RESULTS = 1 << 16 /* the user may not speak behind
						results: the model must first */
};

#endif
