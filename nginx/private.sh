#!/bin/sh
# SPDX-License-Identifier: MIT
#
# private.sh: an nginx.conf for one private nginx, made of the shipped files.
#
#   private.sh DIR HTTPS_PORT HTTP_PORT FCGI_SOCKET WWW_DIR CERT KEY
#       [limits=off] [http=serve] [site=FILE] [tokens=FILE] [client_ca=FILE]
#       [workspaces=DIR] [bridge=SOCKET] > DIR/nginx.conf
#   nginx -e DIR/nginx.error.log -c DIR/nginx.conf -g 'daemon off;'
#
# For the demo, the end-to-end tests and the benchmarks: needs no root and
# nothing of /etc, and listens on 127.0.0.1 only. DIR must exist; logs, the
# pid file (nginx.pid) and temporary files go there. In the shipped files,
# agent-fpm.conf and what it includes, nothing is changed but:
#
#   include snippets/NAME               the text of NAME
#   listen 443 ..., listen 80           the ports, on 127.0.0.1; a socket per
#                                       worker, else one gets all connections
#   https://$host                       with the port
#   ssl_certificate, ssl_certificate_key    CERT, KEY
#   unix:/run/agent-fpm/agent-fpm.sock  FCGI_SOCKET
#   /usr/share/agent-fpm/www            WWW_DIR
#   /var/log/nginx, /var/www/html       DIR
#   limits=off                          no limit_req and no limit_conn lines
#   http=serve                          plain HTTP gets the site itself, not
#                                       the redirect
#   site=runner.conf                    that one, instead of agent-fpm.conf
#   tokens=FILE                         in the place of agent-fpm-runner.tokens
#   workspaces=DIR                      in the place of
#                                       /var/lib/agent-fpm-sandbox/workspaces
#   bridge=SOCKET                       in the place of
#                                       /run/agent-fpm-bridge/bridge.sock
#   client_ca=FILE                      the lines that ask for a certificate
#                                       are there, with this CA
set -eu

usage() {
	echo "usage: private.sh DIR HTTPS_PORT HTTP_PORT FCGI_SOCKET WWW_DIR" \
	    "CERT KEY [limits=off] [http=serve] [site=FILE] [tokens=FILE]" \
	    "[client_ca=FILE] [workspaces=DIR] [bridge=SOCKET]" >&2
	exit 64
}

# A path that nginx can read in double quotes, made absolute.
path() {
	case $1 in
	*[\"\\\$]* | *'
'*)
		echo "private.sh: nginx cannot have \", \\, \$ or a line end in" \
		    "a path: $1" >&2
		exit 64
		;;
	/*) printf %s "$1" ;;
	*) printf %s/%s "$PWD" "$1" ;;
	esac
}

[ $# -ge 7 ] || usage
dir=$(path "$1") https_port=$2 http_port=$3 socket=$(path "$4")
www=$(path "$5") cert=$(path "$6") key=$(path "$7")
shift 7
limits=on http=redirect site=agent-fpm.conf tokens='' client_ca='' \
    workspaces=/var/lib/agent-fpm-sandbox/workspaces \
    bridge=/run/agent-fpm-bridge/bridge.sock
for option in "$@"; do
	case $option in
	limits=on | limits=off) limits=${option#*=} ;;
	http=redirect | http=serve) http=${option#*=} ;;
	site=agent-fpm.conf | site=runner.conf) site=${option#*=} ;;
	tokens=*) tokens=$(path "${option#*=}") ;;
	workspaces=*) workspaces=$(path "${option#*=}") ;;
	bridge=*) bridge=$(path "${option#*=}") ;;
	client_ca=*) client_ca=$(path "${option#*=}") ;;
	*) usage ;;
	esac
done
case $https_port$http_port in
*[!0-9]*) usage ;;
esac
here=$(cd "$(dirname "$0")" && pwd)

# A stream takes two connections, and each connection a descriptor.
# shellcheck disable=SC3045 # dash and bash both have it
files=$(ulimit -Hn)
[ "$files" != unlimited ] && [ "$files" -lt 65536 ] || files=65536
connections=$((files - 64))
[ $connections -lt 16384 ] || connections=16384
workers=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
[ "$workers" -ge 2 ] || workers=2
[ "$workers" -le 8 ] || workers=8

cat <<EOF
# Made by nginx/private.sh of agent-fpm.
EOF
# As root, workers stay root: DIR need not be open to another user.
[ "$(id -u)" -ne 0 ] || echo "user root;"
cat <<EOF
pid "$dir/nginx.pid";
error_log "$dir/nginx.error.log" warn;
worker_processes $workers;
worker_rlimit_nofile $files;
worker_shutdown_timeout 10s;
events {
	worker_connections $connections;
}
http {
client_body_temp_path "$dir/nginx-tmp-body";
fastcgi_temp_path "$dir/nginx-tmp-fastcgi";
proxy_temp_path "$dir/nginx-tmp-proxy";
scgi_temp_path "$dir/nginx-tmp-scgi";
uwsgi_temp_path "$dir/nginx-tmp-uwsgi";
access_log off;
default_type application/octet-stream;
types {
	text/html html;
	text/css css;
	text/plain txt;
	text/javascript js mjs;
	application/json json;
	image/svg+xml svg;
	image/png png;
	image/x-icon ico;
}
EOF

# Paths go through the environment: awk -v would read their backslashes.
HERE=$here DIR=$dir SOCKET=$socket WWW=$www CERT=$cert KEY=$key \
HTTPS_PORT=$https_port HTTP_PORT=$http_port LIMITS=$limits HTTP=$http \
SITE=$site TOKENS=$tokens CLIENT_CA=$client_ca \
WORKSPACES=$workspaces BRIDGE=$bridge \
    awk '
function listen(port, options) {
	return "\tlisten 127.0.0.1:" port options " reuseport backlog=4096;"
}
# "from" and the rest of the word become "to" and the rest, in quotes.
function replace_path(line, from, to,    at, rest, word) {
	at = index(line, from)
	if (at == 0)
		return line
	rest = substr(line, at + length(from))
	match(rest, /^[^ ;]*/)
	word = substr(rest, 1, RLENGTH)
	return substr(line, 1, at - 1) "\"" to word "\"" \
	    substr(rest, RLENGTH + 1)
}
function render(line) {
	if (line ~ /^[ \t]*#ssl_(client_certificate|verify_client) / && \
	    ENVIRON["CLIENT_CA"] != "")
		sub(/#/, "", line)
	if (line ~ /^[ \t]*#/)
		return
	if (line ~ /^[ \t]*listen \[::\]/)
		return
	if (line ~ /^[ \t]*limit_(req|conn)/ && ENVIRON["LIMITS"] == "off")
		return
	if (line ~ /^[ \t]*listen 443 /) {
		print listen(ENVIRON["HTTPS_PORT"], " ssl http2")
		if (ENVIRON["HTTP"] == "serve")
			print listen(ENVIRON["HTTP_PORT"], "")
		return
	}
	if (line ~ /^[ \t]*listen 80;/) {
		print listen(ENVIRON["HTTP_PORT"], "")
		return
	}
	if (line ~ /^[ \t]*ssl_certificate /) {
		print "\tssl_certificate \"" ENVIRON["CERT"] "\";"
		return
	}
	if (line ~ /^[ \t]*ssl_certificate_key /) {
		print "\tssl_certificate_key \"" ENVIRON["KEY"] "\";"
		return
	}
	at = index(line, "https://$host$")
	if (at > 0)
		line = substr(line, 1, at + 12) ":" ENVIRON["HTTPS_PORT"] \
		    substr(line, at + 13)
	line = replace_path(line, "unix:/run/agent-fpm/agent-fpm.sock",
	    "unix:" ENVIRON["SOCKET"])
	line = replace_path(line, "unix:/run/agent-fpm-bridge/bridge.sock",
	    "unix:" ENVIRON["BRIDGE"])
	line = replace_path(line, "unix:/run/agent-fpm-sandbox/runner.sock",
	    "unix:" ENVIRON["SOCKET"])
	line = replace_path(line, "agent-fpm-runner.tokens", ENVIRON["TOKENS"])
	line = replace_path(line, "/etc/agent-fpm/workers-ca.pem",
	    ENVIRON["CLIENT_CA"])
	line = replace_path(line, "/var/lib/agent-fpm-sandbox/workspaces",
	    ENVIRON["WORKSPACES"])
	line = replace_path(line, "/usr/share/agent-fpm/www", ENVIRON["WWW"])
	line = replace_path(line, "/var/log/nginx", ENVIRON["DIR"])
	line = replace_path(line, "/var/www/html", ENVIRON["DIR"])
	print line
}
function file(name,    line, skip) {
	while ((getline line < name) > 0) {
		if (line ~ /^# begin plain HTTP/ && ENVIRON["HTTP"] == "serve")
			skip = 1
		if (!skip && line ~ /^[ \t]*include snippets\//) {
			sub(/^[ \t]*include snippets\//, "", line)
			sub(/;.*/, "", line)
			file(ENVIRON["HERE"] "/" line)
		} else if (!skip)
			render(line)
		if (line ~ /^# end plain HTTP/)
			skip = 0
	}
	close(name)
}
BEGIN { file(ENVIRON["HERE"] "/" ENVIRON["SITE"]) }
'
echo "}"
