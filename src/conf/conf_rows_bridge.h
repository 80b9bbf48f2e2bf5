/* SPDX-License-Identifier: MIT */
/*
 * Rows of the table of settings: agent-fpm-bridge. conf_table.c includes them
 * in the table, which would be too long otherwise.
 */
/* clang-format off */
	STRING("bridge.listen", bridge_listen,
	    "/run/agent-fpm-bridge/bridge.sock",
	    "The unix socket at which nginx finds agent-fpm-bridge."),
	STRING("bridge.group", bridge_group, "",
	    "Group of that socket, whose mode is 0660: the one nginx runs as, "
	    "www-data on Debian. Empty: the group of the process."),
	STRING("bridge.dialects", bridge_dialects, "w1 s4 w3",
	    "The forms in which sessions are told of, separated by spaces; "
	    "each client hears all of them. w1: session:block:start and its "
	    "like; s4: stream:event; w3: session:event. See docs/bridge.md."),
	NUMBER("bridge.ping_interval", SETTING_TIME, bridge_ping_interval_ms,
	    "25s", 100, HOUR_MS,
	    "How long after its last answer a client is asked whether it is "
	    "there."),
	NUMBER("bridge.ping_timeout", SETTING_TIME, bridge_ping_timeout_ms,
	    "20s", 100, HOUR_MS,
	    "How long it may take to answer; then its connection is closed."),
	NUMBER("bridge.max_payload", SETTING_INT, bridge_max_payload, "1000000",
	    1024, 64 * MIB,
	    "Bytes of a message of a client, and of the body of a poll; 16384 "
	    "before it was let in. nginx's client_max_body_size for "
	    "/socket.io/ should say no less."),
	NUMBER("bridge.backlog", SETTING_BYTES, bridge_backlog_bytes, "4m",
	    65536, 1024 * MIB,
	    "What may wait to be read by one client. When it is more the "
	    "client is dropped; it comes back and asks anew."),
	NUMBER("bridge.connections_per_user", SETTING_INT,
	    bridge_connections_per_user, "64", 0, 1 << 20,
	    "Connections of a user to a gateway. 0: no limit."),
	NUMBER("bridge.connections_per_address", SETTING_INT,
	    bridge_connections_per_address, "256", 0, 1 << 20,
	    "Connections of an address, as nginx sees it, to a gateway. 0: no "
	    "limit."),
	RATE("bridge.messages", bridge_messages, "50/1s burst=200",
	    "Messages of a connection. One that sends more is closed."),
	NUMBER("bridge.rooms", SETTING_INT, bridge_rooms, "100", 1, 1 << 20,
	    "Sessions that a connection may have joined at once."),
	NUMBER("bridge.page_heartbeat", SETTING_TIME, bridge_page_heartbeat_ms,
	    "30s", 100, HOUR_MS,
	    "How often a page of AgentBridge is asked whether it is there. One "
	    "that has not answered by the next time is dropped; those of a "
	    "gateway that died are forgotten after three times that."),
	NUMBER("bridge.page_commands", SETTING_INT, bridge_page_commands, "64",
	    1, 1 << 20,
	    "Commands that may wait for the answers of one page."),
	NUMBER("bridge.page_capabilities", SETTING_INT,
	    bridge_page_capabilities, "256", 1, 4096,
	    "Functions and components that one page may have."),
	NUMBER("bridge.page_bytes", SETTING_BYTES, bridge_page_bytes, "256k",
	    1024, 2 * MIB,
	    "Bytes of what one page says of them."),
