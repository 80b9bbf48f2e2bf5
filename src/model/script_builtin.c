/* SPDX-License-Identifier: MIT */
/*
 * What the model `script` says when no file is configured: a demo for
 * somebody who has just started it, and wants to see whether it is alive,
 * whether it remembers, and what a kill does to it.
 *
 * What a user said is quoted at once: it may be long.
 */
#include "config.h"

#include "model/script_priv.h"

const char script_builtin[] =
    "{\"scenarios\":["

    "{\"match\":\"^[Ss]low ([0-9]+)$\",\"steps\":["
    "{\"pace_ms\":50,\"text\":\"${words:${1}}\"}]},"

    "{\"match\":\"^[Tt]hink (.*)$\",\"steps\":["
    "{\"pace_ms\":70,\"thinking\":\"Somebody wants me to think about "
    "“${1}”. I turn it over, look at it from the other side, and find that "
    "I am a script.\","
    "\"signature\":\"c2NyaXB0ZWQgc2lnbmF0dXJl\"},"
    "{\"wait_ms\":70},"
    "{\"pace_ms\":70,\"text\":\"I have thought about “${1}”. "
    "What came before this was my thinking: it is kept with the answer, and "
    "told apart from it.\"}]},"

    "{\"match\":\"^[Nn]ote (.*)$\",\"round\":0,\"steps\":["
    "{\"pace_ms\":40,\"text\":\"I put that on your board, if I may.\"},"
    "{\"call\":\"client__add_note\",\"input\":{\"text\":\"${1}\"}}]},"

    "{\"match\":\"^[Cc]olor ([a-z]+)$\",\"round\":0,\"steps\":["
    "{\"pace_ms\":40,\"text\":\"I give your board another color, if I "
    "may.\"},"
    "{\"call\":\"client__set_color\",\"input\":{\"color\":\"${1}\"}}]},"

    "{\"match\":\"^([Nn]ote .*|[Cc]olor [a-z]+)$\",\"steps\":["
    "{\"pace_ms\":40,\"text\":\"What came of it: \"},"
    "{\"by\":\"whole\",\"text\":\"${results}\"}]},"

    "{\"match\":\"^[Hh]elp$\",\"steps\":["
    "{\"pace_ms\":30,\"text\":\"You can type:\\n\\n"
    "slow 100 – a hundred words, 50 ms each: time to kill a process, to "
    "stop me, or to open a second window\\n"
    "think about it – an answer with thinking before it\\n"
    "note buy milk, or color blue – I change the board, where that page is "
    "open\\n"
    "help – this list\\n"
    "anything else – I quote it, and show what I remember\"}]},"

    "{\"match\":\"\",\"count\":\"first\",\"steps\":["
    "{\"pace_ms\":70,\"text\":\"Hello! You said: \"},"
    "{\"wait_ms\":70},"
    "{\"by\":\"whole\",\"text\":\"“${last}”\"},"
    "{\"wait_ms\":70},"
    "{\"pace_ms\":70,\"text\":\"\\n\\n"
    "I am only a script, but what you are looking at is real: these words "
    "come through nginx, the FastCGI pool and the journal in Redis. "
    "Kill -9 any of these processes now, and the answer goes on.\\n\\n"
    "Type help for more.\"}]},"

    "{\"match\":\"\",\"count\":\"later\",\"steps\":["
    "{\"pace_ms\":70,\"text\":\"That is message ${count}. "
    "The first thing you told me was: \"},"
    "{\"wait_ms\":70},"
    "{\"by\":\"whole\",\"text\":\"“${first}”\"},"
    "{\"wait_ms\":70},"
    "{\"pace_ms\":70,\"text\":\" – and now you say: \"},"
    "{\"wait_ms\":70},"
    "{\"by\":\"whole\",\"text\":\"“${last}”\"},"
    "{\"wait_ms\":70},"
    "{\"pace_ms\":70,\"text\":\"\\n\\n"
    "I know because our conversation is in Redis, and not in the process "
    "that answers you. Restart all of it, come back to this agent, and I "
    "will still know.\"}]}"

    "]}";
