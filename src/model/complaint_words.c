/* SPDX-License-Identifier: MIT */
/*
 * What the words of an error stand for. A status alone does not tell a quota
 * that is used up from a moment of too many requests (both 429), a wrong key
 * from a wrong argument (Google: both 400), nor a conversation that is too
 * long from a mistake (both 400); the words do.
 *
 * Two kinds of words, from spec/providers.md, the section that is named. Type,
 * code, status and reasons are compared as a whole; some say more than any
 * status (sharp), others no more than one would. Sentences are searched for
 * parts that only that provider's error has: so no "quota" alone, as Gemini
 * says "exceeded your current quota" of a minute's too. [M] and [G] there, and
 * what is not there, are from manuals and reports of users.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "model/complaint.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A * at the end stands for any. The first that matches counts. */
static const struct word {
	enum model_class kind;
	int sharp;
	const char *word;
} words[] = {
	/* 1 Anthropic, 2 OpenAI and Azure, 10 llama.cpp, gateways */
	{ MODEL_CLASS_CONTEXT_LENGTH, 1, "context_length_exceeded" },
	{ MODEL_CLASS_CONTEXT_LENGTH, 1, "context_window_exceeded" },
	{ MODEL_CLASS_CONTEXT_LENGTH, 1, "exceed_context_size_error" },
	{ MODEL_CLASS_CONTEXT_LENGTH, 1, "ContextWindowExceededError" },
	{ MODEL_CLASS_CONTEXT_LENGTH, 1, "request_too_large" },

	/* 0; 1 Anthropic; 6 DashScope; DeepSeek; gateways */
	{ MODEL_CLASS_QUOTA, 1, "insufficient_quota" },
	{ MODEL_CLASS_QUOTA, 1, "enforced_spend_limit_reached" },
	{ MODEL_CLASS_QUOTA, 1, "billing_error" },
	{ MODEL_CLASS_QUOTA, 1, "billing_hard_limit_reached" },
	{ MODEL_CLASS_QUOTA, 1, "billing_not_active" },
	{ MODEL_CLASS_QUOTA, 1, "insufficient_balance" },
	{ MODEL_CLASS_QUOTA, 1, "insufficient_user_quota" },
	{ MODEL_CLASS_QUOTA, 1, "payment_required" },
	{ MODEL_CLASS_QUOTA, 1, "Arrearage" },
	{ MODEL_CLASS_QUOTA, 1, "AllocationQuota.FreeTierOnly" },

	/* 6 DashScope; 2 OpenAI, Azure; Gemini */
	{ MODEL_CLASS_FILTER, 1, "data_inspection_failed" },
	{ MODEL_CLASS_FILTER, 1, "DataInspectionFailed" },
	{ MODEL_CLASS_FILTER, 1, "content_policy*" },
	{ MODEL_CLASS_FILTER, 1, "content_filter*" },
	{ MODEL_CLASS_FILTER, 1, "ResponsibleAIPolicyViolation" },
	{ MODEL_CLASS_FILTER, 1, "moderation_blocked" },
	{ MODEL_CLASS_FILTER, 1, "invalid_prompt" },
	{ MODEL_CLASS_FILTER, 1, "PROHIBITED_CONTENT" },

	/* 4 Gemini (400), and who says it inside a stream */
	{ MODEL_CLASS_AUTH, 1, "API_KEY_INVALID" },
	{ MODEL_CLASS_AUTH, 1, "invalid_api_key" },
	{ MODEL_CLASS_AUTH, 1, "InvalidApiKey" },
	{ MODEL_CLASS_AUTH, 1, "authentication_error" },
	{ MODEL_CLASS_AUTH, 1, "invalid_authentication*" },
	{ MODEL_CLASS_AUTH, 0, "permission_error" },
	{ MODEL_CLASS_AUTH, 0, "UNAUTHENTICATED" },
	{ MODEL_CLASS_AUTH, 0, "PERMISSION_DENIED" },
	{ MODEL_CLASS_AUTH, 0, "AccessDenied*" },

	/* 1 Anthropic; 4 Gemini; 8 Cerebras (429); 10 llama.cpp; Moonshot */
	{ MODEL_CLASS_OVERLOAD, 1, "overloaded_error" },
	{ MODEL_CLASS_OVERLOAD, 1, "engine_overloaded*" },
	{ MODEL_CLASS_OVERLOAD, 1, "server_overloaded*" },
	{ MODEL_CLASS_OVERLOAD, 1, "server_is_overloaded" },
	{ MODEL_CLASS_OVERLOAD, 1, "queue_exceeded" },
	{ MODEL_CLASS_OVERLOAD, 1, "unavailable_error" },
	{ MODEL_CLASS_OVERLOAD, 1, "UNAVAILABLE" },
	{ MODEL_CLASS_OVERLOAD, 1, "service_unavailable*" },

	/* 7 Groq: what the model has written was no call */
	{ MODEL_CLASS_PROTOCOL, 1, "tool_use_failed" },

	{ MODEL_CLASS_RATE_LIMIT, 0, "rate_limit*" },
	{ MODEL_CLASS_RATE_LIMIT, 0, "RESOURCE_EXHAUSTED" },
	{ MODEL_CLASS_RATE_LIMIT, 0, "too_many_requests" },
	{ MODEL_CLASS_RATE_LIMIT, 0, "Throttling*" },
	{ MODEL_CLASS_RATE_LIMIT, 0, "limit_requests" },
	{ MODEL_CLASS_RATE_LIMIT, 0, "slow_down" },
	{ MODEL_CLASS_TIMEOUT, 0, "timeout*" },
	{ MODEL_CLASS_TIMEOUT, 0, "request_timeout" },
	{ MODEL_CLASS_TIMEOUT, 0, "vector_store_timeout" },
	{ MODEL_CLASS_TIMEOUT, 0, "DEADLINE_EXCEEDED" },
	{ MODEL_CLASS_SERVER, 0, "api_error" },
	{ MODEL_CLASS_SERVER, 0, "server_error" },
	{ MODEL_CLASS_SERVER, 0, "INTERNAL" },
	{ MODEL_CLASS_SERVER, 0, "internal_error" },
	{ MODEL_CLASS_SERVER, 0, "internal_server_error" },
	{ MODEL_CLASS_SERVER, 0, "Internal*Error" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "invalid*" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "not_found*" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "model_not_found" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "FAILED_PRECONDITION" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "OUT_OF_RANGE" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "BadRequest*" },
	{ MODEL_CLASS_INVALID_REQUEST, 0, "unsupported_*" },
};

static const struct {
	enum model_class kind;
	const char *part;
} sentences[] = {
	/* Anthropic */
	{ MODEL_CLASS_CONTEXT_LENGTH, "prompt is too long" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "exceed context limit" },
	/* OpenAI, DeepSeek, Mistral, OpenRouter, vLLM */
	{ MODEL_CLASS_CONTEXT_LENGTH, "maximum context length" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "maximum model length" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "context length exceeded" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "context length is only" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "context length of only" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "exceeds the context" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "exceeds model context" },
	/* SGLang, LM Studio, MiniMax, Moonshot */
	{ MODEL_CLASS_CONTEXT_LENGTH, "the model's context length" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "greater than the context length" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "context window exceeds limit" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "exceeded model token limit" },
	/* Gemini */
	{ MODEL_CLASS_CONTEXT_LENGTH, "input token count" },
	/* xAI */
	{ MODEL_CLASS_CONTEXT_LENGTH, "maximum prompt length" },
	/* Groq */
	{ MODEL_CLASS_CONTEXT_LENGTH, "reduce the length of the messages" },
	/* llama.cpp */
	{ MODEL_CLASS_CONTEXT_LENGTH, "exceeds the available context size" },
	/* DashScope */
	{ MODEL_CLASS_CONTEXT_LENGTH, "range of input length should be" },
	/* Bedrock, Zhipu */
	{ MODEL_CLASS_CONTEXT_LENGTH, "input is too long" },
	{ MODEL_CLASS_CONTEXT_LENGTH, "prompt exceeds max length" },
	/* OpenRouter: the document of who is behind it, as a text */
	{ MODEL_CLASS_CONTEXT_LENGTH, "context_length_exceeded" },
	{ MODEL_CLASS_QUOTA, "insufficient_quota" },

	/* Anthropic (400), DeepSeek, OpenRouter, xAI (429 or 403) */
	{ MODEL_CLASS_QUOTA, "credit balance is too low" },
	{ MODEL_CLASS_QUOTA, "insufficient balance" },
	{ MODEL_CLASS_QUOTA, "insufficient credits" },
	{ MODEL_CLASS_QUOTA, "used all available credits" },
	{ MODEL_CLASS_QUOTA, "monthly spending limit" },

	/* Azure, Anthropic, DeepSeek, OpenAI, OpenRouter (403) */
	{ MODEL_CLASS_FILTER, "content management policy" },
	{ MODEL_CLASS_FILTER, "content filtering policy" },
	{ MODEL_CLASS_FILTER, "content exists risk" },
	{ MODEL_CLASS_FILTER, "violating our usage polic" },
	{ MODEL_CLASS_FILTER, "your input was flagged" },

	/* Gemini, xAI: 400 */
	{ MODEL_CLASS_AUTH, "api key not valid" },
	{ MODEL_CLASS_AUTH, "incorrect api key" },

	/* OpenAI (429), Gemini, Groq */
	{ MODEL_CLASS_OVERLOAD, "engine is currently overloaded" },
	{ MODEL_CLASS_OVERLOAD, "model is overloaded" },
	{ MODEL_CLASS_OVERLOAD, "currently over capacity" },
};

static int
word_is(const char *word, const char *said)
{
	const char *star = strchr(word, '*');
	size_t before, after, len = strlen(said);

	if (star == NULL)
		return strcasecmp(word, said) == 0;
	before = (size_t)(star - word);
	after = strlen(star + 1);
	return len >= before + after && strncasecmp(word, said, before) == 0 &&
	       strcasecmp(star + 1, said + len - after) == 0;
}

enum model_class
complaint_class(const struct complaint *c, int sharp)
{
	if (sharp && c->daily)
		return MODEL_CLASS_QUOTA;
	for (size_t i = 0; i < COUNT(words); i++)
		for (int k = 0; k < c->word_count; k++)
			if (words[i].sharp == sharp &&
			    word_is(words[i].word, c->words[k]))
				return words[i].kind;
	return MODEL_CLASS_NONE;
}

/* Statuses with which a sentence about length is about something else: tokens
 * a minute, what a key may do. */
static int
is_about_length(int64_t status)
{
	return status != 401 && status != 402 && status != 403 &&
	       status != 404 && status != 429;
}

enum model_class
complaint_class_of_text(const char *text, int64_t status)
{
	for (size_t i = 0; text != NULL && i < COUNT(sentences); i++)
		if (strcasestr(text, sentences[i].part) != NULL &&
		    (sentences[i].kind != MODEL_CLASS_CONTEXT_LENGTH ||
			is_about_length(status)))
			return sentences[i].kind;
	return MODEL_CLASS_NONE;
}
