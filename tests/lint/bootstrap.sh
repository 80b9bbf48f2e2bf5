#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bootstrap and the policy-rc.d of the host: while apt works it forbids
# services, and whatever ends a run, the host has its own again after the next.
# A copy of bootstrap runs, with another path and with stubs in place of apt.
cd "${SRCDIR:-.}" || exit 1
n=0 failed=0
report() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		failed=1
		echo "not ok $n - $2"
	fi
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
policy=$tmp/policy-rc.d
mkdir "$tmp/bin"
sed "s|^policy=.*|policy=$policy|" bootstrap >"$tmp/bootstrap"

stub() { # NAME TEXT
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
}
stub id 'echo 0'
stub npm 'exit 1'
stub apt-cache 'echo "  Candidate: (none)"'
# shellcheck disable=SC2016
stub dpkg-query '[ -z "$INSTALLED" ] || echo installed'
# It notes what a package's scripts would be told, and then what is to happen
# to bootstrap.
# shellcheck disable=SC2016
stub apt-get '[ "$1" = install ] || exit 0
"$POLICY" nginx start
echo $? >"$TOLD"
[ -z "$KILL" ] || kill "-$KILL" $PPID'

# What a package would be told, and how bootstrap ended: "101 0".
run() { # [NAME=VALUE...]
	rm -f "$tmp/told"
	(cd "$tmp" && exec env PATH="$tmp/bin:$PATH" POLICY="$policy" INSTALLED= \
	    KILL= TOLD="$tmp/told" "$@" sh ./bootstrap --install-only) \
	    >"$tmp/out" 2>&1
	status=$?
	ended="$(cat "$tmp/told" 2>/dev/null || :) $status"
}
host() {
	printf '#!/bin/sh\nexit 104\n' >"$policy"
	chmod 755 "$policy"
}
# Nothing but the host's, or nothing at all.
as_before() {
	[ "$(cd "$tmp" && echo policy-rc.d*)" = policy-rc.d ] &&
		"$policy"
	[ $? -eq 104 ]
}
none() {
	[ "$(cd "$tmp" && echo policy-rc.d*)" = "policy-rc.d*" ]
}

run && [ "$ended" = "101 0" ] && none
report $? "a host without one"

host && run && [ "$ended" = "101 0" ] && as_before
report $? "a host with one"

run KILL=TERM && [ "$ended" = "101 130" ] && as_before
report $? "stopped by SIGTERM"

run KILL=KILL && [ "$ended" = "101 137" ] && ! as_before &&
	run && [ "$ended" = "101 0" ] && as_before
report $? "killed, and run again"

run KILL=KILL && run KILL=KILL && run INSTALLED=yes && as_before
report $? "killed twice, and run again when nothing is missing"

rm "$policy" && run KILL=KILL && ! none && run && [ "$ended" = "101 0" ] && none
report $? "killed on a host without one, and run again"

ln -s /bin/false "$policy" && run KILL=KILL && run &&
	[ "$(readlink "$policy")" = /bin/false ]
report $? "a symbolic link"

rm "$policy" && host && echo 'exit 0' >"$policy.agent-fpm" && run &&
	[ "$ended" = " 1" ] && grep -q 104 "$policy" &&
	[ "$(cat "$policy.agent-fpm")" = "exit 0" ]
report $? "two that are not of a run"
echo "1..$n"
exit $failed
