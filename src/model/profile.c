/* SPDX-License-Identifier: MIT */
/*
 * Providers (spec/providers.md, sections 1 to 12). One that is not here is a
 * section of the configuration, and needs no code either.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "conf/conf.h"
#include "model/profile.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define BEARER "authorization: Bearer "
#define CHAT "/chat/completions"

/* Of servers that take max_tokens, which OpenAI has given another name. */
#define OTHERS MODEL_QUIRK_MAX_TOKENS

/* Of providers whose models know text only. */
#define NO_MEDIA (MODEL_QUIRK_NO_IMAGES | MODEL_QUIRK_NO_FILES)

static const struct model_profile profiles[] = {
	{ .name = "anthropic",
	    .api = MODEL_API_ANTHROPIC,
	    .url = "https://api.anthropic.com",
	    .path = "/v1/messages",
	    .key_header = "x-api-key: ",
	    .key_variable = "ANTHROPIC_API_KEY",
	    .model_id = "claude-sonnet-4-6",
	    .version = "2023-06-01" },
	{ .name = "openai",
	    .api = MODEL_API_CHAT,
	    .url = "https://api.openai.com/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "OPENAI_API_KEY",
	    .quirks = MODEL_QUIRK_OBFUSCATION },
	{ .name = "openai-responses",
	    .api = MODEL_API_RESPONSES,
	    .url = "https://api.openai.com/v1",
	    .path = "/responses",
	    .key_header = BEARER,
	    .key_variable = "OPENAI_API_KEY",
	    .quirks = MODEL_QUIRK_OBFUSCATION },
	{ .name = "gemini",
	    .api = MODEL_API_GEMINI,
	    .url = "https://generativelanguage.googleapis.com/v1beta",
	    .path = "/models/{id}:streamGenerateContent?alt=sse",
	    .key_header = "x-goog-api-key: ",
	    .key_variable = "GEMINI_API_KEY" },
	{ .name = "azure",
	    .api = MODEL_API_CHAT,
	    .path = "/openai/v1" CHAT,
	    .key_header = "api-key: ",
	    .key_variable = "AZURE_OPENAI_API_KEY" },
	{ .name = "azure-deployment",
	    .api = MODEL_API_CHAT,
	    .path = "/openai/deployments/{id}" CHAT "?api-version={version}",
	    .key_header = "api-key: ",
	    .key_variable = "AZURE_OPENAI_API_KEY",
	    .version = "2024-10-21" },
	{ .name = "deepseek",
	    .api = MODEL_API_CHAT,
	    .url = "https://api.deepseek.com",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "DEEPSEEK_API_KEY",
	    .quirks = OTHERS | MODEL_QUIRK_ECHO_CALLS |
		      MODEL_QUIRK_THINKING_TYPE | MODEL_QUIRK_FREE_CHOICE |
		      MODEL_QUIRK_NO_SCHEMA | NO_MEDIA },
	{ .name = "qwen",
	    .api = MODEL_API_CHAT,
	    .url = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "DASHSCOPE_API_KEY",
	    .quirks = OTHERS | MODEL_QUIRK_ECHO_ROUND |
		      MODEL_QUIRK_ENABLE_THINKING | MODEL_QUIRK_FREE_CHOICE |
		      MODEL_QUIRK_NO_FILES },
	{ .name = "groq",
	    .api = MODEL_API_CHAT,
	    .url = "https://api.groq.com/openai/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "GROQ_API_KEY",
	    .quirks = MODEL_QUIRK_REASONING | MODEL_QUIRK_ECHO_ROUND |
		      MODEL_QUIRK_NO_FILES },
	{ .name = "cerebras",
	    .api = MODEL_API_CHAT,
	    .url = "https://api.cerebras.ai/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "CEREBRAS_API_KEY",
	    .quirks =
		MODEL_QUIRK_REASONING | MODEL_QUIRK_ECHO_ROUND | NO_MEDIA },
	{ .name = "openrouter",
	    .api = MODEL_API_CHAT,
	    .url = "https://openrouter.ai/api/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "OPENROUTER_API_KEY",
	    .quirks =
		OTHERS | MODEL_QUIRK_REASONING | MODEL_QUIRK_REASONING_OBJECT },
	{ .name = "mistral",
	    .api = MODEL_API_CHAT,
	    .url = "https://api.mistral.ai/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "MISTRAL_API_KEY",
	    .quirks = OTHERS | MODEL_QUIRK_NO_STREAM_OPTIONS |
		      MODEL_QUIRK_NO_FILES | MODEL_QUIRK_SHORT_IDS |
		      MODEL_QUIRK_ANSWER_RESULTS },
	{ .name = "vllm",
	    .api = MODEL_API_CHAT,
	    .url = "http://127.0.0.1:8000/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "VLLM_API_KEY",
	    .key_optional = 1,
	    .quirks = OTHERS | MODEL_QUIRK_REASONING |
		      MODEL_QUIRK_TEMPLATE_THINKING | MODEL_QUIRK_NO_FILES },
	{ .name = "llamacpp",
	    .api = MODEL_API_CHAT,
	    .url = "http://127.0.0.1:8080/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_variable = "LLAMA_API_KEY",
	    .key_optional = 1,
	    .quirks =
		OTHERS | MODEL_QUIRK_TEMPLATE_THINKING | MODEL_QUIRK_NO_FILES },
	{ .name = "ollama",
	    .api = MODEL_API_CHAT,
	    .url = "http://127.0.0.1:11434/v1",
	    .path = CHAT,
	    .key_header = BEARER,
	    .key_optional = 1,
	    .quirks = OTHERS | MODEL_QUIRK_NO_FILES },
	{ .name = "script",
	    .api = MODEL_API_ANTHROPIC,
	    .key_optional = 1,
	    .is_script = 1,
	    .model_id = "script" },
};

/* What a provider does otherwise, in the configuration's words. */
static const struct {
	const char *word;
	enum model_quirk quirk;
} quirk_words[] = {
	{ "think-tags", MODEL_QUIRK_THINK_TAGS },
	{ "max-tokens", MODEL_QUIRK_MAX_TOKENS },
	{ "no-stream-options", MODEL_QUIRK_NO_STREAM_OPTIONS },
	{ "obfuscation", MODEL_QUIRK_OBFUSCATION },
	{ "echo-with-calls", MODEL_QUIRK_ECHO_CALLS },
	{ "echo-in-round", MODEL_QUIRK_ECHO_ROUND },
	{ "reasoning", MODEL_QUIRK_REASONING },
	{ "reasoning-object", MODEL_QUIRK_REASONING_OBJECT },
	{ "enable-thinking", MODEL_QUIRK_ENABLE_THINKING },
	{ "thinking-type", MODEL_QUIRK_THINKING_TYPE },
	{ "template-thinking", MODEL_QUIRK_TEMPLATE_THINKING },
	{ "free-choice", MODEL_QUIRK_FREE_CHOICE },
	{ "no-schema", MODEL_QUIRK_NO_SCHEMA },
	{ "no-images", MODEL_QUIRK_NO_IMAGES },
	{ "no-files", MODEL_QUIRK_NO_FILES },
	{ "short-ids", MODEL_QUIRK_SHORT_IDS },
	{ "answer-results", MODEL_QUIRK_ANSWER_RESULTS },
};

const struct model_profile *
profile_find(const char *name)
{
	for (size_t i = 0; i < COUNT(profiles); i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

static int
quirk_add(const char *word, size_t len, unsigned *quirks)
{
	int away = *word == '-';

	word += away;
	len -= (size_t)away;
	for (size_t i = 0; i < COUNT(quirk_words); i++) {
		if (strlen(quirk_words[i].word) != len ||
		    memcmp(quirk_words[i].word, word, len) != 0)
			continue;
		if (away)
			*quirks &= ~(unsigned)quirk_words[i].quirk;
		else
			*quirks |= (unsigned)quirk_words[i].quirk;
		return 0;
	}
	return -1;
}

int
profile_quirks(const char *words, unsigned *quirks, struct err *err)
{
	const char *p = words;
	size_t n;

	for (p += strspn(p, " "); *p != '\0'; p += strspn(p, " ")) {
		n = strcspn(p, " ");
		if (quirk_add(p, n, quirks) < 0)
			return err_set(err, ERR_CONFIG,
			    "there is no quirk \"%.*s\"; docs/models.md lists "
			    "them all",
			    (int)n, p);
		p += n;
	}
	return 0;
}

static const struct model_profile *
profile_make(struct arena *a, const struct conf_provider *c, struct err *err)
{
	const struct model_profile *like = profile_find(c->like);
	struct model_profile *p = arena_alloc(a, sizeof(*p));

	if (like == NULL || like->is_script) {
		err_set(err, ERR_CONFIG,
		    "[provider %s]: like = \"%s\" is no built-in provider",
		    c->label, c->like);
		return NULL;
	}
	*p = *like;
	p->name = c->label;
	p->url = c->url;
	p->key_variable = c->key_variable;
	p->key_optional = 1;
	p->model_id = "";
	if (*c->path != '\0')
		p->path = c->path;
	if (*c->key_header != '\0')
		p->key_header = strchr(c->key_header, ':') == NULL
				    ? arena_printf(a, "%s: ", c->key_header)
				    : arena_printf(a, "%s ", c->key_header);
	if (profile_quirks(c->quirks, &p->quirks, err) == 0)
		return p;
	err_prefix(err, "[provider %s]", c->label);
	return NULL;
}

const struct model_profile *
profile_of(
    struct arena *a, const struct conf *c, const char *name, struct err *err)
{
	const struct model_profile *p;

	for (size_t i = 0; i < c->provider_count; i++)
		if (strcmp(c->providers[i].label, name) == 0)
			return profile_make(a, &c->providers[i], err);
	p = profile_find(name);
	if (p == NULL)
		err_set(err, ERR_CONFIG,
		    "there is no provider \"%s\"; write a section [provider "
		    "%s], or one of those that model.provider lists",
		    name, name);
	return p;
}
