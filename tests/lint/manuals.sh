#!/bin/sh
# SPDX-License-Identifier: MIT
# Manual pages are good mdoc; the units are good; the manual knows all
# settings.
cd "${SRCDIR:-.}" || exit 1
build=${BUILDDIR:-.}
n=0
report() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		echo "not ok $n - $2"
	fi
}
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

if command -v mandoc >/dev/null; then
	"$build/agent-fpm" --settings man | mandoc -Tlint -W warning
	report $? agent-fpm.conf.5
	mandoc -Tlint -W warning docs/agent-fpm.8
	report $? agent-fpm.8
	mandoc -Tlint -W warning docs/agent-fpm-sandbox.8
	report $? agent-fpm-sandbox.8
	mandoc -Tlint -W warning docs/agent-fpm-proxy.8
	report $? agent-fpm-proxy.8
	mandoc -Tlint -W warning docs/agent-fpm-bridge.8
	report $? agent-fpm-bridge.8
else
	skip manuals "mandoc is not installed"
fi

# The sample with every setting switched on is the defaults, and is valid.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$build/agent-fpm" --settings sample | sed -e 's/^#\([a-z_.]* = \)/\1/' -e 's/^#\[/[/' \
    >"$tmp/all.conf"
AGENT_FPM_JWT_SECRET=0123456789abcdef0123456789abcdef ANTHROPIC_API_KEY=k \
    "$build/agent-fpm" -c "$tmp/all.conf" -t
report $? sample

# The rule userns is known since AppArmor 4.
if command -v apparmor_parser >/dev/null &&
    [ -e /etc/apparmor.d/abi/4.0 ]; then
	apparmor_parser -QTK apparmor/agent-fpm-sandbox >/dev/null
	report $? apparmor
else
	skip apparmor "AppArmor 4 is not installed"
fi

if command -v systemd-analyze >/dev/null; then
	for u in agent-fpm.service agent-fpm.socket agent-fpm-sandbox.service \
	    agent-fpm-proxy.service agent-fpm-bridge.service; do
		sed "s|/usr/sbin/agent-fpm|$build/agent-fpm|" "systemd/$u" \
		    >"$tmp/$u"
	done
	systemd-analyze verify --man=no "$tmp/agent-fpm.service" \
	    "$tmp/agent-fpm.socket" "$tmp/agent-fpm-sandbox.service" \
	    "$tmp/agent-fpm-proxy.service" "$tmp/agent-fpm-bridge.service"
	report $? units
	for u in agent-fpm@.service agent-fpm@.socket; do
		sed "s|/usr/sbin/agent-fpm|$build/agent-fpm|" \
		    "$build/systemd/$u" >"$tmp/$u"
	done
	systemd-analyze verify --man=no "$tmp/agent-fpm@site.service" \
	    "$tmp/agent-fpm@site.socket" &&
		! grep -F -e /agent-fpm.conf -e /agent-fpm.sock "$tmp"/agent-fpm@.*
	report $? "units of several pools"
	# How much an attacker who has a process could do, in tenths.
	systemd-analyze security --offline=yes --threshold=15 \
	    systemd/agent-fpm.service >/dev/null &&
		systemd-analyze security --offline=yes --threshold=15 \
		    systemd/agent-fpm-bridge.service >/dev/null &&
		systemd-analyze security --offline=yes --threshold=30 \
		    systemd/agent-fpm-sandbox.service >/dev/null
	report $? "exposure of the units"
else
	skip units "systemd-analyze is not installed"
	skip "units of several pools" "systemd-analyze is not installed"
	skip "exposure of the units" "systemd-analyze is not installed"
fi

# Every pool that logs to a file there is told to open it again.
printf '#!/bin/sh\nprintf "%%s\\n" "$@"\n' >"$tmp/systemctl"
chmod +x "$tmp/systemctl"
sed -n '/postrotate/,/endscript/p' systemd/agent-fpm.logrotate |
	sed -e 1d -e '$d' >"$tmp/postrotate"
PATH="$tmp:$PATH" sh "$tmp/postrotate" >"$tmp/told" &&
	grep -qx 'agent-fpm.service' "$tmp/told" &&
	grep -qx 'agent-fpm@\*.service' "$tmp/told"
report $? "logs of several pools"

# What rotates those logs deletes no audit log; what rotates it keeps it all.
patterns=$(sed -n 's/^\(\/.*\) {$/\1/p' systemd/agent-fpm.logrotate)
rotated_by() {
	printf '%s\n' "$patterns" | python3 -c '
import fnmatch, sys
print(*[n for n, line in enumerate(sys.stdin) for p in line.split()
        if fnmatch.fnmatchcase(sys.argv[1], p)])' "/var/log/agent-fpm/$1"
}
good=0
for name in pool.log slow.log shop.log api.log; do
	test "$(rotated_by "$name")" = 0 || good=1
done
for name in audit.log audit-shop.log; do
	test "$(rotated_by "$name")" = 1 || good=1
done
sed -n '/audit\*.log {/,/^}/p' systemd/agent-fpm.logrotate |
	grep -qx '	rotate -1' || good=1
report $good "the audit log is not rotated away"

# Users, then folders that are theirs, below a root of its own.
if command -v systemd-sysusers >/dev/null && [ "$(id -u)" -eq 0 ]; then
	mkdir -p "$tmp/root/etc" &&
		systemd-sysusers --root="$tmp/root" \
		    "$PWD/systemd/agent-fpm.sysusers" &&
		systemd-tmpfiles --root="$tmp/root" --create \
		    "$PWD/systemd/agent-fpm.tmpfiles" &&
		[ "$(stat -c %a "$tmp/root/var/log/agent-fpm")" = 750 ] &&
		[ "$(stat -c %a "$tmp/root/run/agent-fpm")" = 755 ]
	report $? "users and folders"
else
	skip "users and folders" "systemd-sysusers, as root, is needed"
fi
echo "1..$n"
