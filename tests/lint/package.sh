#!/bin/sh
# SPDX-License-Identifier: MIT
#
# debian/ agrees with the rest of the tree: version, build dependencies, units,
# and what "make install" installs. (Building the package takes too long for
# each "make check": dpkg-buildpackage -us -uc -b.)
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
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

version=$(sed -n 's/^AC_INIT(\[agent-fpm\], \[\([^]]*\)\].*/\1/p' configure.ac)
head -1 debian/changelog | grep -q -F "agent-fpm ($version) "
report $? "version"

# What bootstrap installs for building stands in Build-Depends too.
missing=
for p in $(sed -n '/^build="/,/"$/p' bootstrap | tr '"=\t' '   ' |
    grep -o '[a-z0-9-]*-dev\b' | grep -v '^libc6-dev$'); do
	grep -q "^ *$p,\{0,1\}$" debian/control || missing="$missing $p"
done
[ -z "$missing" ]
report $? "build dependencies$missing"

# Removing stops every unit; an upgrade restarts services, and no socket.
missing=
for u in systemd/*.service systemd/*.socket; do
	case $u in *@*) continue ;; esac # made by make, found by a pattern
	grep -q -F " ${u#systemd/}" debian/agent-fpm.prerm ||
	    missing="$missing ${u#systemd/}"
done
for u in systemd/*.service; do
	case $u in *@*) continue ;; esac
	grep -q -F " ${u#systemd/}" debian/agent-fpm.postinst ||
	    missing="$missing ${u#systemd/}"
done
[ -z "$missing" ] && ! grep -q '[.]socket' debian/agent-fpm.postinst
report $? "units of the maintainer scripts$missing"

# The users and folders of the scripts are those of the shipped files.
grep -q '^d /var/log/agent-fpm ' systemd/agent-fpm.tmpfiles &&
	grep -q 'rm -rf /var/log/agent-fpm /run/agent-fpm$' debian/agent-fpm.postrm &&
	grep -q '^StateDirectory=agent-fpm-sandbox$' \
	    systemd/agent-fpm-sandbox.service &&
	grep -q '=/var/lib/agent-fpm-sandbox$' debian/agent-fpm.postrm
report $? "folders of the maintainer scripts"

if [ -f "$build/Makefile" ]; then
	make -s -C "$build" install prefix=/usr sysconfdir=/etc \
	    DESTDIR="$tmp" >"$tmp/log" 2>&1 || cat "$tmp/log"
	missing=
	while read -r from to; do
		[ -e "$tmp/$from" ] && [ "${to#usr/share/doc/}" != "$to" ] ||
		    missing="$missing $from"
	done <debian/agent-fpm.links
	[ -x "$tmp/usr/sbin/agent-fpm-proxy" ] &&
		[ -x "$tmp/usr/sbin/agent-fpm-bridge" ] && [ -z "$missing" ]
	report $? "what is installed$missing"
else
	skip "what is installed" "there is no Makefile in $build"
fi

echo "1..$n"
