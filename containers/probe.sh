#!/bin/sh
# SPDX-License-Identifier: MIT
#
# probe.sh PATH [SOCKET]: asks the pool for PATH, /live or /ready, over its
# FastCGI socket, for health checks where no nginx is. Exits 0 if the answer is
# 200, else 1, with the answer on standard output. Needs cgi-fcgi (libfcgi-bin)
# and waits for at most five seconds.
set -u

[ $# -ge 1 ] || {
	echo "usage: probe.sh PATH [SOCKET]" >&2
	exit 64
}
# cgi-fcgi passes its environment on, which is nobody's business.
answer=$(env -i REQUEST_METHOD=GET REQUEST_URI="$1" DOCUMENT_URI="$1" \
    SERVER_PROTOCOL=HTTP/1.1 REMOTE_ADDR=127.0.0.1 \
    timeout 5 cgi-fcgi -bind -connect \
    "${2:-/run/agent-fpm/agent-fpm.sock}" 2>&1) || {
	echo "no answer from the pool: $answer"
	exit 1
}
printf '%s\n' "$answer"
case $answer in
"Status: 200"*) exit 0 ;;
*) exit 1 ;;
esac
