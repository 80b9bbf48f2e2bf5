#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The official conformance package for MCP clients against `agent-fpm mcp`:
# make check-conformance. Not a part of make check, since it is downloaded from
# the npm registry. It wants Node.js 22, which is downloaded too where node is
# older. What this client does not offer (elicitation, OAuth) is left out.
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)

# As the client that the package starts: the URL is the last argument.
if [ -n "$MCP_CONFORMANCE_SCENARIO" ]; then
	for url; do :; done
	set -- "$AGENT_FPM" -c "$CONFORMANCE_CONF" mcp --url "$url"
	case $MCP_CONFORMANCE_SCENARIO in
	tools_call) exec "$@" add_numbers '{"a":5,"b":3}' ;;
	sse-retry) exec "$@" test_reconnection ;;
	*) exec "$@" ;;
	esac
fi

. "$root/tests/conformance/npm.sh"
npm_install 22 @modelcontextprotocol/conformance@0.1.16
CONFORMANCE_CONF=$dir/agent-fpm.conf
printf 'tool.networks = 127.0.0.1 ::1\n' >"$CONFORMANCE_CONF"
AGENT_FPM=${AGENT_FPM:-$root/agent-fpm}
export AGENT_FPM CONFORMANCE_CONF
failed=0
for scenario in initialize tools_call sse-retry; do
	if "$node" "$dir/node_modules/@modelcontextprotocol/conformance/dist/index.js" \
		client --command "$root/tests/conformance/mcp.sh" \
		--scenario "$scenario" >"$dir/$scenario.log" 2>&1; then
		echo "ok   $scenario: $(grep '^Passed' "$dir/$scenario.log")"
	else
		echo "FAIL $scenario"
		cat "$dir/$scenario.log"
		failed=1
	fi
done
exit $failed
