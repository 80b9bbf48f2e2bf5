#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh: agent-fpm with everything it needs, in one folder, for one user.
#
#   [DEMO_DIR=./demo] [DEMO_PORT=8443] ... make demo
#
# Starts a private Redis, the sandbox, the pool, the gateway and a private
# nginx, waits until they answer, prints where the pages are, and keeps all of
# them running: one that is killed is started again, with its data. Ctrl-C,
# SIGTERM or SIGHUP stops them; the data stays for the next run. Nothing of the
# host is used or changed, and no root is needed.
#
#   DEMO_DIR           data, configuration, logs (./demo)
#   DEMO_PORT          HTTPS on 127.0.0.1 (8443); plain HTTP on the next one
#   DEMO_MODEL_URL     base URL of a service that speaks Anthropic's Messages
#                      API; its key in ANTHROPIC_API_KEY, else "demo"
#   ANTHROPIC_API_KEY  with this alone: Anthropic itself. With neither: the
#                      built-in model, which needs no network
#   DEMO_LIMITS=off    no rate limits and no limits per user, for load tests
#   DEMO_WORKERS       worker processes of the pool (one per core)
#   AGENT_FPM          the program (./agent-fpm, or beside tools/)
#
# Each part runs in a session of its own, so that Ctrl-C reaches this script
# alone, and so that what a killed master leaves behind can be found: its
# process group. bash, because it waits without starting a process.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh demo.sh
set +o posix
set -u
LC_ALL=C # lengths in bytes
umask 077

parts="redis sandbox agent-fpm bridge nginx" # in the order of starting
declare -A pid=() died_young=() started_ms=() due_ms=()
asked= # to stop, by a signal

say() {
	printf 'demo: %s\n' "$*"
}

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

now_ms() { # result in $now
	now=$((${EPOCHREALTIME/[.,]/} / 1000))
}

# Sleeps without a child that could be killed: nobody writes into $tick. Here
# alone a signal ends the script: bash reaps no children while a trap runs.
nap() {
	read -rt "$1" -u "$tick" _
	[ -z "$asked" ] || exit 0
}

# ---- what is there

find_programs() {
	PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
	program=${AGENT_FPM:-./agent-fpm}
	[ -x "$program" ] || program=${AGENT_FPM:-$top/agent-fpm}
	[ -x "$program" ] || die "$program is not there; run make first"
	program=$(realpath "$program")
	for p in sandbox bridge; do
		[ -x "$program-$p" ] ||
		    die "$program-$p is not there; run make first"
	done
	redis=$(command -v redis-server || command -v valkey-server) ||
	    die "neither redis-server nor valkey-server is installed;" \
		"run ./bootstrap"
	redis_cli=$(command -v redis-cli || command -v valkey-cli) ||
	    die "neither redis-cli nor valkey-cli is installed; run ./bootstrap"
	for p in nginx openssl curl setsid flock; do
		command -v $p >/dev/null || die "$p is not installed; run ./bootstrap"
	done
}

check_settings() {
	port=${DEMO_PORT:-8443}
	case $port in
	'' | *[!0-9]* | ??????*) die "DEMO_PORT=$port is not a port" ;;
	esac
	if [ "$port" -eq 0 ] || [ "$port" -gt 65534 ]; then
		die "DEMO_PORT=$port: ports go from 1 to 65534 here"
	fi
	http_port=$((port + 1))
	case ${DEMO_LIMITS:-on} in
	on | off) ;;
	*) die "DEMO_LIMITS is on or off, not $DEMO_LIMITS" ;;
	esac
}

# Every stream is some descriptors: take what the host allows.
raise_descriptors() {
	local max
	max=$(ulimit -Hn)
	[ "$max" != unlimited ] && [ "$max" -lt 1048576 ] || max=1048576
	ulimit -Sn "$max" 2>/dev/null
	[ "$(ulimit -Sn)" -ge 16384 ] 2>/dev/null ||
	    say "the descriptor limit here is $(ulimit -Sn); 10,000" \
		"connections need 16384 or more (ulimit -Hn)"
}

# $dir is the folder as it is; $work a name for it that fits everywhere: 107
# bytes for a socket, 198 for a line of agent-fpm.conf, no quotes for nginx.
make_dirs() {
	mkdir -p "${DEMO_DIR:-demo}" || exit 1
	dir=$(cd "${DEMO_DIR:-demo}" && pwd -P) || exit 1
	mkdir -p "$dir/redis" "$dir/templates.d" "$dir/skills.d" || exit 1
	exec {lock}>>"$dir/lock" || exit 1
	flock -n "$lock" ||
	    die "a demo runs in $dir already (pid $(cat "$dir/demo.pid"))"
	echo $$ >"$dir/demo.pid"
	# The run directory of a run that was killed.
	old_run=
	[ ! -f "$dir/run" ] || read -r old_run <"$dir/run"
}

plain() {
	[ ${#1} -le 90 ] && case $1 in
	*[!A-Za-z0-9/._\ ~+,@%=:-]*) false ;;
	esac
}

name_dirs() {
	local tmp=${TMPDIR:-/tmp}
	if [ -n "$old_run" ] && [ -L "$old_run/demo" ] && [ -O "$old_run" ]; then
		rm -f "$old_run"/{demo,www,*.sock}
		rmdir "$old_run"
	fi
	rm -f "$dir/run"
	work=$dir www=$top/www
	if ! plain "$dir" || ! plain "$www"; then
		plain "$tmp" && [ ${#tmp} -le 60 ] && [ -w "$tmp" ] || tmp=/tmp
		run=$(mktemp -d "$tmp/agent-fpm-demo.XXXXXX") || exit 1
		echo "$run" >"$dir/run"
		ln -s "$dir" "$run/demo" && ln -s "$www" "$run/www" || exit 1
		work=$run/demo www=$run/www
	fi
	sockets=${run:-$work}
	mkfifo "$dir/tick" && exec {tick}<>"$dir/tick" || exit 1
	rm -f "$dir/tick"
}

# ---- processes

group_alive() {
	kill -0 -- "-$1" 2>/dev/null
}

# Waits up to $2 tenths of a second for the end of group $1, then kills it.
group_end() {
	local i=0
	while group_alive "$1" && [ $((i++)) -lt $(($2 * 5)) ]; do
		nap 0.02
	done
	group_alive "$1" && kill -KILL -- "-$1" 2>/dev/null
	return 0
}

# Was group $1 started by a demo in this folder? A pid file alone is no proof:
# the number may be another's by now.
group_is_ours() {
	local p stat words cwd line
	for p in /proc/[0-9]*; do
		{ read -r stat <"$p/stat"; } 2>/dev/null || continue
		read -ra words <<<"${stat##*) }" # state, parent, group
		[ "${words[2]}" = "$1" ] || continue
		line=$({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null)
		cwd=$(readlink "$p/cwd" 2>/dev/null)
		case $line in
		*redis* | *valkey* | *nginx* | *agent-fpm*) ;;
		*) continue ;;
		esac
		[ "$cwd" = "$dir" ] || [ "$cwd" = "$dir/redis" ] && return 0
		case $line in
		*"$dir/"*) return 0 ;;
		*"${old_run:-$dir}/"*) return 0 ;;
		esac
	done
	return 1
}

# What a demo left that was itself killed.
clear_leftovers() {
	local part old
	for part in nginx bridge agent-fpm sandbox redis; do
		[ -f "$dir/$part.pid" ] || continue
		old=
		read -r old <"$dir/$part.pid"
		rm -f "$dir/$part.pid"
		[[ $old =~ ^[1-9][0-9]+$ ]] || continue
		group_alive "$old" || continue
		group_is_ours "$old" || continue
		say "stopping $part (pid $old), left by a run that was killed"
		kill -TERM -- "-$old"
		group_end "$old" 50
	done
}

start() { # PART COMMAND...
	local part=$1
	shift
	(
		exec {lock}>&- {tick}>&-
		cd "$dir" || exit 1
		[ "$part" = agent-fpm ] || unset ANTHROPIC_API_KEY
		exec setsid "$@"
	) >>"$dir/$part.log" 2>&1 </dev/null &
	pid[$part]=$!
	now_ms
	started_ms[$part]=$now
	echo $! >"$dir/$part.pid"
}

start_part() {
	case $1 in
	redis) start redis "$redis" "$work/redis.conf" ;;
	sandbox) start sandbox "$program-sandbox" -c "$work/agent-fpm.conf" ;;
	bridge) start bridge "$program-bridge" -c "$work/agent-fpm.conf" ;;
	agent-fpm) start agent-fpm "$program" -c "$work/agent-fpm.conf" -F ;;
	nginx)
		start nginx nginx -e "$work/nginx.error.log" \
		    -c "$work/nginx.conf" -g 'daemon off;'
		;;
	esac
}

# A part ended that nobody asked to. What is left of it (nginx's workers live
# on without their master, and keep its ports) goes first. It is started at
# once; one that keeps dying young, after a pause.
bury() {
	local part=$1 status how
	wait "${pid[$part]}" 2>/dev/null
	status=$?
	how="ended with status $status"
	[ $status -le 128 ] || how="was killed by signal $((status - 128))"
	# The pool's workers see the end of their master and leave by themselves.
	[ "$part" = agent-fpm ] && group_end "${pid[$part]}" 5
	group_end "${pid[$part]}" 0
	now_ms
	if [ $((now - started_ms[$part])) -lt 2000 ]; then
		died_young[$part]=$((${died_young[$part]:-0} + 1))
	else
		died_young[$part]=0
	fi
	due_ms[$part]=$now
	if [ "${died_young[$part]}" -gt 5 ]; then
		due_ms[$part]=$((now + 1000))
		how="$how again, see $dir/$part.log"
	fi
	say "$part (pid ${pid[$part]}) $how; starting it again"
	pid[$part]=0
}

watch() {
	local part
	while :; do
		nap 0.1
		for part in $parts; do
			if [ "${pid[$part]}" -ne 0 ]; then
				kill -0 "${pid[$part]}" 2>/dev/null && continue
				bury "$part"
			fi
			now_ms
			[ "$now" -lt "${due_ms[$part]}" ] || start_part "$part"
		done
	done
}

stop() { # PART TENTHS
	local p=${pid[$1]:-0}
	[ "$p" -ne 0 ] || return 0
	kill -TERM "$p" 2>/dev/null
	group_end "$p" "$2"
	wait "$p" 2>/dev/null
	rm -f "$dir/$1.pid"
}

# The front first; Redis last, when nobody writes any more.
stop_all() {
	trap '' INT TERM HUP
	asked=
	[ "${#pid[@]}" -eq 0 ] || say "stopping"
	stop nginx 30
	stop bridge 30
	stop agent-fpm 80
	stop sandbox 30
	if [ "${pid[redis]:-0}" -ne 0 ]; then
		timeout 5 "$redis_cli" -s "$sockets/redis.sock" shutdown nosave \
		    >/dev/null 2>&1
	fi
	stop redis 100
	rm -f "$dir/demo.pid" "$dir/run"
	[ -z "$run" ] || rm -rf "$run"
}

# ---- configuration

make_secrets() {
	if [ ! -s "$dir/secret" ]; then
		openssl rand -base64 48 >"$dir/secret" || exit 1
	fi
	if ! openssl x509 -in "$dir/cert" -noout -checkend 604800 \
	    >/dev/null 2>&1 || [ ! -s "$dir/key" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		    -nodes -days 365 -subj "/CN=agent-fpm demo" \
		    -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" \
		    -keyout "$dir/key" -out "$dir/cert" 2>"$dir/openssl.log" ||
		    die "openssl made no certificate: $(cat "$dir/openssl.log")"
	fi
}

# "model" is what to say about it; the key stays in the environment.
choose_model() {
	provider=script model_url='' model="the built-in model"
	if [ -n "${DEMO_MODEL_URL:-}" ]; then
		provider=anthropic
		model_url="url = $DEMO_MODEL_URL"
		model="the model at $DEMO_MODEL_URL"
		export ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY:-demo}
	elif [ -n "${ANTHROPIC_API_KEY:-}" ]; then
		provider=anthropic model="Anthropic's API"
	fi
}

write_pool_conf() {
	cat <<EOF
# Written by tools/demo.sh at each start: changes here are lost.
listen = $sockets/agent-fpm.sock
listen.mode = 0600
workers = ${DEMO_WORKERS:-0}
templates = $work/templates.d
skills = $work/skills.d

[jwt]
secret_file = $work/secret

[sandbox]
socket = $sockets/sandbox.sock
workspaces = $work/workspaces

[store]
address = unix:$sockets/redis.sock

[bridge]
listen = $sockets/bridge.sock

[model]
provider = $provider
$model_url
EOF
	[ "${DEMO_LIMITS:-on}" = off ] || return 0
	cat <<EOF

[limits]
requests = off
chats = off
agents_per_user = 0
viewers_per_user = 0
turns_per_user = 0
EOF
}

write_redis_conf() {
	cat <<EOF
# Written by tools/demo.sh at each start.
port 0
unixsocket "$sockets/redis.sock"
unixsocketperm 600
dir "$work/redis"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
EOF
}

write_confs() {
	write_pool_conf >"$dir/agent-fpm.conf"
	write_redis_conf >"$dir/redis.conf"
	"$top/nginx/private.sh" "$work" "$port" "$http_port" \
	    "$sockets/agent-fpm.sock" "$www" "$work/cert" "$work/key" \
	    "limits=${DEMO_LIMITS:-on}" http=serve "bridge=$sockets/bridge.sock" >"$dir/nginx.conf" || exit 1
	"$program" -c "$work/agent-fpm.conf" -t >"$dir/agent-fpm.check" 2>&1 ||
	    die "agent-fpm refuses $dir/agent-fpm.conf:" \
		"$(cat "$dir/agent-fpm.check")"
	rm -f "$dir/agent-fpm.check" "$dir/openssl.log"
	"$program" -c "$work/agent-fpm.conf" token --sub demo --ttl 720h \
	    >"$dir/token" || die "no token could be made"
}

check_ports() {
	local p
	for p in "$port" "$http_port"; do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || continue
		die "port $p on 127.0.0.1 is taken; choose another one and the" \
		    "next: DEMO_PORT=$((port > 60000 ? 9443 : port + 1000)) make demo"
	done
}

# ---- starting

fail() { # PART WHY
	printf 'demo: %s %s\n' "$1" "$2" >&2
	for f in "$dir/$1.log" "$dir/$1.error.log"; do
		[ -s "$f" ] || continue
		echo "demo: the end of $f:" >&2
		tail -n 15 "$f" >&2
	done
	exit 1
}

wait_for() { # PART SECONDS COMMAND...
	local part=$1 p end=$((SECONDS + $2))
	shift 2
	until "$@" >/dev/null 2>&1; do
		for p in "${!pid[@]}"; do
			kill -0 "${pid[$p]}" 2>/dev/null ||
			    fail "$p" "ended while it started"
		done
		[ $SECONDS -lt $end ] || fail "$part" "does not answer"
		nap 0.05
	done
}

redis_answers() {
	[ "$(timeout 2 "$redis_cli" -s "$sockets/redis.sock" ping)" = PONG ]
}

get() { # URL
	curl -qfs --noproxy '*' --cacert "$work/cert" --max-time 2 -o /dev/null "$1"
}

sandbox_answers() {
	[ -S "$sockets/sandbox.sock" ]
}

pool_answers() {
	[ -S "$sockets/agent-fpm.sock" ]
}

bridge_answers() {
	[ -S "$sockets/bridge.sock" ]
}

start_all() {
	start_part redis
	wait_for redis 60 redis_answers # it may have much to load
	start_part sandbox
	wait_for sandbox 20 sandbox_answers
	start_part agent-fpm
	wait_for agent-fpm 20 pool_answers
	start_part bridge
	wait_for bridge 20 bridge_answers
	start_part nginx
	wait_for nginx 20 get "https://127.0.0.1:$port/favicon.svg"
	wait_for agent-fpm 20 get "https://127.0.0.1:$port/ready"
}

greet() {
	local url=https://127.0.0.1:$port auth curl
	curl="curl -sN --cacert $(printf %q "$dir/cert")"
	[ -z "${https_proxy:-}${HTTPS_PROXY:-}${all_proxy:-}${ALL_PROXY:-}" ] ||
	    curl="$curl --noproxy '*'"
	auth="-H \"Authorization: Bearer \$T\" -H 'Content-Type: application/json'"
	cat <<EOF

agent-fpm answers, with $model. Ctrl-C stops it; the data stays.

  page    $url/#token=$(cat "$dir/token")
          (the certificate is of its own making; your browser will ask.
          Without TLS: http://127.0.0.1:$http_port/)
  board   $url/board.html#token=$(cat "$dir/token")
          A page whose functions are an agent's tools: write "note buy milk"
          there, or "color blue", and allow it.
  token   $dir/token, of user demo, good for 30 days
  config  $dir/agent-fpm.conf
  logs    $dir/*.log

Or paste this, to make an agent and talk to it:

T=\$(cat $(printf %q "$dir/token")); A=\$($curl $auth -d '{"name":"first"}' $url/api/agents | sed 's/.*"agentId" *: *"\([^"]*\)".*/\1/'); $curl $auth -d '{"message":"Hello! What can you do?"}' $url/api/agents/\$A/chat

EOF
}

top=$(cd "$(dirname "$0")/.." && pwd -P) || exit 1
run=
find_programs
check_settings
make_dirs
trap stop_all EXIT
trap 'asked=yes' INT TERM HUP
name_dirs
clear_leftovers
check_ports
raise_descriptors
make_secrets
choose_model
write_confs
start_all
greet
watch
